#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "elf/core_memory.h"
#include "elf/printable_notes.h"

namespace obit {

/// A debugger takes the vdso from the memory of a core (AT_SYSINFO_EHDR), and prints the names of its symbols
/// as they are. The kernel's is plain: names of printable characters, no debug information. One that is not
/// is hidden, by AT_IGNORE in the auxiliary vector of the core. True if there was one.
[[nodiscard]] Result<bool> HideOddVdso(const Fd& core, CoreMemory& memory, const CoreParts& parts);

}  // namespace obit
