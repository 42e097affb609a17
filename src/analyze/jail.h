#pragma once

#include "base/result.h"

namespace obit {

/// The jail of a process that reads hostile cores and binaries. For good, in two steps; each counts on the
/// one thread that calls it being the only one. Both hold by seccomp(2) alone, so that a kernel without
/// Landlock is no hole.
///
/// A system call that could reach other processes, the network or the kernel's own state ends the process by
/// SIGSYS, without a core. Opening fails with EACCES and everything else that is not allowed with ENOSYS:
/// libraries take that for an error like any other.
///
/// The first step, right at the start. From here on: no capability but CAP_DAC_READ_SEARCH, no new
/// privileges, not dumpable (its crash does not make the kernel connect to obitd, nobody traces it), bounded
/// memory, processor time and files; it may open files and folders for reading, and nothing else of files.
[[nodiscard]] Result<void> EnterJail();

/// The second, after all files were opened. From here on: no capability, and no file but those that are open.
/// What remains is to read and write these, to manage memory, and to end.
[[nodiscard]] Result<void> LockJail();

}  // namespace obit
