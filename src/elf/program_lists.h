#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "elf/core_head.h"

namespace obit {

/// The class of an ELF file; nothing if it is none.
[[nodiscard]] Result<std::optional<ElfClass>> ReadElfClass(const Fd& file);

/// Where a debugger that has a program's file looks for the dynamic loader's lists: it goes by the file's
/// sections. Addresses are those that the program was linked for.
struct ProgramLists {
  std::uint64_t entry = 0;  ///< AT_ENTRY less this is how far the program was moved
  /// The entries of the section .dynamic that lead to the lists.
  struct Dynamic {
    std::uint64_t tag = 0;
    std::uint64_t value = 0;  ///< in the file; the dynamic loader changes it in memory
    std::uint64_t at = 0;
    std::uint64_t value_at = 0;
  };
  std::vector<Dynamic> dynamic;
  /// The symbol _r_debug, which counts only where .dynamic leads to nothing: of a static program.
  std::vector<std::uint64_t> symbols;
};

/// Bounded reads of an untrusted file: what is cut or odd in it is not there.
[[nodiscard]] Result<ProgramLists> ReadProgramLists(const Fd& file);

/// Entries of a dynamic section that lead to the lists: DT_DEBUG and, for gdb on any machine, those of MIPS.
[[nodiscard]] bool LeadsToLists(std::uint64_t tag);

}  // namespace obit
