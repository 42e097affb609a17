#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "elf/core_memory.h"

namespace obit {

/// What else there is in a core that a debugger reads, found on the way through its headers and notes.
struct CoreParts {
  ElfClass elf_class = ElfClass::k64;
  bool changed = false;                  ///< a text in a note was not printable
  std::vector<CoreMemory::Part> memory;  ///< in the order of the headers
  /// An entry of an auxiliary vector.
  struct Auxiliary {
    std::uint64_t type = 0, value = 0;
    std::uint64_t offset = 0;  ///< in the file
  };
  std::vector<std::vector<Auxiliary>> auxiliary;  ///< of each such note: a core should have one
};

/// Makes the texts in the notes of a core printable, where it lies: what the process called itself and was
/// started with (NT_PRPSINFO), the paths of its files (NT_FILE), and all of notes that are no kernel's. A
/// debugger prints them as they are, and the process chose them: each byte of a character that could move a
/// cursor becomes "?". Nothing else is changed, and nothing gets longer. What is no core, or is cut, is left
/// alone as far as it is none; nothing is returned of what is none at all.
[[nodiscard]] Result<std::optional<CoreParts>> MakeNotesPrintable(const Fd& core);

}  // namespace obit
