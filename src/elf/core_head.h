#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "elf/note_keeper.h"

namespace obit {

enum class ElfClass { k32, k64 };

/// Follows a core as it streams by and learns what its head promises: ELF header, program headers, notes (ELF
/// gABI; fs/binfmt_elf.c puts them before all memory). Holds a bounded part of it, whatever the core's size.
/// Bytes are untrusted.
class CoreHead {
 public:
  /// Notes kept, bytes. The crashing thread's and the process-wide ones come first, so what is cut are
  /// further threads.
  static constexpr std::size_t kNotesKept = 1 << 20;

  /// Segments kept: as many mappings as a process may have by default are 65,530.
  static constexpr std::size_t kSegmentsKept = 1 << 18;

  /// Keeps what most callers need.
  CoreHead() = default;
  /// Keeps all mappings too, and of the notes what `notes` does.
  explicit CoreHead(NoteKeeper notes) : note_keeper_(std::move(notes)) {}

  /// Takes the next bytes of the core, from its first on, in pieces of any size. Costs nothing once the head
  /// is over.
  void Feed(std::span<const std::byte> bytes);

  /// The head has passed: everything below is final.
  [[nodiscard]] bool complete() const { return state_ == State::kComplete; }
  /// So many of the bytes that come next belong to the head for certain; not 0 until it is complete.
  [[nodiscard]] std::uint64_t at_least() const;
  /// Why this is not a core as Linux writes it; empty while it may be one.
  [[nodiscard]] const std::string& invalid() const { return invalid_; }

  /// The size that the program headers promise, bytes; known once they have passed.
  [[nodiscard]] std::optional<std::uint64_t> core_bytes() const;

  [[nodiscard]] ElfClass elf_class() const { return class_; }
  [[nodiscard]] std::uint16_t machine() const { return machine_; }  ///< EM_*

  /// A PT_LOAD segment that has bytes in the core.
  struct Segment {
    std::uint64_t address = 0, offset = 0, bytes = 0;
  };
  /// In the order of the program headers, at most kSegmentsKept.
  [[nodiscard]] std::span<const Segment> segments() const { return segments_; }
  [[nodiscard]] bool has_all_segments() const { return has_all_segments_; }

  /// A PT_LOAD segment, whether it has bytes in the core or not: a mapping of the process.
  struct Mapping {
    std::uint64_t address = 0, memory_bytes = 0, offset = 0, bytes = 0;
    std::uint32_t flags = 0;  ///< PF_R, PF_W, PF_X
  };
  /// In the order of the program headers, at most kSegmentsKept; none if the head was not asked for them.
  [[nodiscard]] std::span<const Mapping> mappings() const { return mappings_; }

  /// The section header at the end of a core with more than 65,534 program headers, as the kernel writes it
  /// (fill_extnum_info() of fs/binfmt_elf.c); empty for other cores.
  [[nodiscard]] std::vector<std::byte> trailer() const;

  /// The beginning of the PT_NOTE segment, at most kNotesKept bytes; or what the head was to keep of it.
  [[nodiscard]] std::span<const std::byte> notes() const {
    return note_keeper_ ? note_keeper_->notes() : notes_;
  }

 private:
  enum class State { kHeader, kProgramHeaders, kNotes, kComplete, kInvalid };

  std::size_t Consume(std::span<const std::byte> bytes);
  void ReadHeader();
  void ReadProgramHeader();
  void EndProgramHeaders();
  void Reject(std::string why);

  State state_ = State::kHeader;
  std::string invalid_;
  std::vector<std::byte> gathered_;  // of the header or the program header that is passing
  std::uint64_t at_ = 0;             // offset in the core of the next byte
  ElfClass class_ = ElfClass::k64;
  std::uint16_t machine_ = 0;
  std::uint64_t next_program_header_ = 0, program_headers_left_ = 0, program_headers_seen_ = 0;
  bool extended_numbering_ = false;
  std::uint64_t section_headers_end_ = 0;
  std::uint64_t notes_begin_ = 0, notes_end_ = 0, memory_end_ = 0;
  std::vector<std::byte> notes_;
  std::optional<NoteKeeper> note_keeper_;
  std::vector<Segment> segments_;
  std::vector<Mapping> mappings_;
  bool has_all_segments_ = true;
};

}  // namespace obit
