#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "elf/core_head.h"

namespace obit {

/// Memory of a process that becomes one PT_LOAD.
struct CoreRun {
  std::uint64_t address = 0, bytes = 0;  ///< in memory
  std::uint64_t file_bytes = 0;          ///< the first so many have their content in the core
  std::uint32_t flags = 0;               ///< PF_R, PF_W, PF_X
  bool operator==(const CoreRun&) const = default;
};

/// Where everything is in a core of the kernel's form: ELF header, program headers, one PT_NOTE, padding to a
/// page, memory; with 65,535 program headers and more, a section header at the end that counts them.
class CoreLayout {
 public:
  CoreLayout(ElfClass elf_class, std::uint16_t machine, std::vector<std::byte> notes,
             std::vector<CoreRun> runs);

  [[nodiscard]] std::span<const CoreRun> runs() const { return runs_; }
  /// Offset of a run's content in the core.
  [[nodiscard]] std::uint64_t OffsetOf(std::size_t run) const { return offsets_[run]; }
  [[nodiscard]] std::uint64_t core_bytes() const { return memory_end_ + TrailerBytes(); }

  /// All before the memory: headers, notes, and so many zeros.
  [[nodiscard]] std::vector<std::byte> Head() const;
  [[nodiscard]] std::vector<std::byte> Headers() const;
  [[nodiscard]] std::span<const std::byte> notes() const { return notes_; }
  [[nodiscard]] std::size_t padding() const { return memory_at_ - notes_at_ - notes_.size(); }
  [[nodiscard]] std::uint64_t head_bytes() const { return memory_at_; }
  /// What follows the memory; mostly nothing.
  [[nodiscard]] std::vector<std::byte> Trailer() const;

 private:
  [[nodiscard]] bool is_extended() const;
  [[nodiscard]] std::size_t TrailerBytes() const;
  template <class Ehdr, class Phdr, class Shdr>
  [[nodiscard]] std::vector<std::byte> HeadersOf() const;

  ElfClass class_;
  std::uint16_t machine_;
  std::vector<std::byte> notes_;
  std::vector<CoreRun> runs_;
  std::vector<std::uint64_t> offsets_;
  std::uint64_t notes_at_ = 0, memory_at_ = 0, memory_end_ = 0;
};

}  // namespace obit
