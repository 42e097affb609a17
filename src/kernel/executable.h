#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// The name of the file that a process executes.
struct ExecutableName {
  std::string path;       ///< as the process' mount namespace has it, without " (deleted)"; empty: not known
  bool deleted = false;   ///< the file has this name no more: nothing, or another file, is there
  bool too_long = false;  ///< longer than the kernel tells: PATH_MAX
};
/// Reads it below `dir`, /proc/TID of the process, as the link says: what ends in " (deleted)" is taken for a
/// file that is gone. Waits for nothing: the kernel takes the file from the process by a spin lock, not its
/// mmap lock (get_task_exe_file() of kernel/fork.c), and makes the name of what it has in memory (d_path()).
[[nodiscard]] ExecutableName ReadExecutableLink(const Fd& dir);
/// The same, and looks whether a file that is called so is there. `proc` is a descriptor of /proc. Asks no
/// file system as far as that is up to the caller; but the kernel may, of one on a network, on its way
/// through the link (d_weak_revalidate).
[[nodiscard]] ExecutableName ReadExecutableName(const Fd& proc, const Fd& dir);

/// The file itself, whatever became of its name: an O_PATH descriptor, made without asking its file system.
[[nodiscard]] Result<Fd> OpenExecutable(const Fd& dir);

/// True if the name leads to the file (`opened`) on this host, in the mount namespace of the first process,
/// as far as can be told without asking a file system. Where the way there is closed to the caller, it is
/// taken for it.
[[nodiscard]] bool IsReachable(const Fd& proc, const Fd& dir, const ExecutableName& name, const Fd& opened);

}  // namespace obit
