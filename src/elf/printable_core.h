#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Makes what a debugger prints of a core at its start printable, where it lies: the texts in its notes, and
/// in its memory the names in the dynamic loader's lists; and hides a vdso that is none of the kernel's.
/// `program` is the file that the debugger is given as well, of the same class, or null. The process chose
/// all of these texts: each byte of a character that could move a cursor becomes "?". What is not in the
/// core, but in files that the debugger opens, stays as it is. Fails with EBADMSG if the core's texts or
/// lists have no end.
[[nodiscard]] Result<void> MakeCorePrintable(const Fd& core, const Fd* program);

}  // namespace obit
