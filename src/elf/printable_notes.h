#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Makes the texts in the notes of a core printable, where it lies: what the process called itself and was
/// started with (NT_PRPSINFO), the paths of its files (NT_FILE), and all of notes that are no kernel's. A
/// debugger prints them as they are, and the process chose them: each byte of a character that could move a
/// cursor becomes "?". Nothing else is changed, and nothing gets longer. What is no core, or is cut, is left
/// alone as far as it is none.
[[nodiscard]] Result<void> MakeNotesPrintable(const Fd& core);

}  // namespace obit
