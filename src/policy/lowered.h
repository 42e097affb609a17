#pragma once

#include <cstdint>
#include <string>

#include "crash/record.h"

namespace obit {

/// Why less is kept of a crash than the configuration says, in numbers: they fit into any message, and a
/// record that somebody else has to write has the same text.
struct Lowered {
  Shortage what = Shortage::kNone;
  /// What there is and what it would take. kDisk: bytes. kQueue: ns that it waited, and that all that waits
  /// would take, 0: that is not what is long. kMemory: pressure and its limit, 1/100 percent; or bytes that
  /// are available, and 0.
  std::uint64_t has = 0, needs = 0;

  explicit operator bool() const { return what != Shortage::kNone; }
  bool operator==(const Lowered&) const = default;
};

/// For people: "the disk has room for 1.2 GiB of cores, and this one may take 2.0 GiB". `to`: what is kept.
[[nodiscard]] std::string Describe(const Lowered& lowered, Detail to);

}  // namespace obit
