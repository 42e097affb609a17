#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/fd.h"

namespace obit {

/// Memory that is read of a crashed process before it exits, since its end changes it: words that the kernel
/// writes when threads exit, and what others may write once it is gone. What is read of the same places
/// afterwards is replaced by this.
class FirstSet {
 public:
  /// Bytes that it has room for.
  static constexpr std::uint64_t kBytesMax = 16 << 20;

  /// Reads [address, address + bytes) from `mem`, /proc/PID/mem, as far as it can be read. False: there is no
  /// room for it, or it cannot be read.
  [[nodiscard]] bool Take(const Fd& mem, std::uint64_t address, std::uint64_t bytes);
  /// Puts what was taken into `room`, which is what was read at `address` afterwards.
  void Put(std::uint64_t address, std::span<std::byte> room) const;

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  std::map<std::uint64_t, std::vector<std::byte>> taken_;  // by address; none overlaps another
  std::uint64_t bytes_ = 0;
};

}  // namespace obit
