#pragma once

#include "base/result.h"
#include "elf/core_memory.h"
#include "elf/printable_notes.h"
#include "elf/program_lists.h"

namespace obit {

/// Makes the names in the dynamic loader's lists of libraries printable, in the memory of a core: a debugger
/// reads them at its start, by the auxiliary vector or by `program`, and prints those that it finds no file
/// for. True if there was one to change. Fails with EBADMSG where the lists have no end.
[[nodiscard]] Result<bool> MakeLibraryNamesPrintable(CoreMemory& memory, const CoreParts& parts,
                                                     const ProgramLists& program);

}  // namespace obit
