#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "elf/core_head.h"

namespace obit {

/// The memory that a core file has, by address, to be read and to be written. Its headers may claim anything.
class CoreMemory {
 public:
  /// Memory at `address`, which is in the file at `offset`.
  struct Part {
    std::uint64_t address = 0, offset = 0, bytes = 0;
  };
  /// `parts` in the order of the headers: where they overlap, the first counts, as it does for gdb.
  CoreMemory(const Fd& core, ElfClass elf_class, std::span<const Part> parts);

  /// False: the core does not have all of it, or looking around has cost too much.
  bool Read(std::uint64_t address, std::span<std::byte> out);
  /// As many bytes as follow each other, `max` at most.
  std::string ReadUpTo(std::uint64_t address, std::size_t max);
  /// The text up to a NUL, or to where there is no more; `max` bytes at most.
  std::string ReadText(std::uint64_t address, std::size_t max);
  /// `bytes` in the place of those that were read there.
  Result<void> Write(std::uint64_t address, std::span<const std::byte> bytes);

  /// Fails if a read did, or if there were too many: what was read is not all that a debugger could.
  [[nodiscard]] Result<void> Check() const;

 private:
  /// Where the core has `address`, and how many bytes from there on.
  [[nodiscard]] std::optional<Part> Find(std::uint64_t address) const;
  std::size_t ReadSome(std::uint64_t address, std::span<std::byte> out);
  [[nodiscard]] std::uint64_t Narrow(std::uint64_t address) const;

  const Fd& core_;
  bool wide_;
  std::vector<Part> parts_;  // by address, apart from each other
  std::uint64_t cost_ = 0;
  Result<void> state_;
};

}  // namespace obit
