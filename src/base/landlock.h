#pragma once

#include <initializer_list>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// What files a process may still open. What is open stays as it was opened.
enum class FileAccess {
  kNothing,
  kRead,   ///< nothing may be written, made, removed or executed
  kWrite,  ///< regular files and folders also be written, made, moved and removed
};

/// Signals to processes that were not confined with the caller or after it (6.12).
enum class OutsideSignals : bool { kForbidden, kAllowed };

/// What is allowed beneath one folder, beyond what is allowed everywhere.
struct FolderAccess {
  const Fd& folder;
  FileAccess access;
};

/// Gives up rights to files for good by Landlock (landlock(7), Linux 5.13), and on newer kernels also TCP
/// (6.7), device ioctls (6.10), abstract sockets and `signals` to processes outside (6.12). `everywhere` is
/// kNothing or kRead. False where the kernel has no Landlock or it is off: then nothing has changed. The
/// caller has set no_new_privs. It also loses what ptrace(2) rights it had, and with them /proc/PID/mem and
/// the like of others (security/landlock/task.c), but for descriptors that it has.
[[nodiscard]] Result<bool> RestrictFiles(FileAccess everywhere,
                                         std::initializer_list<FolderAccess> beneath = {},
                                         OutsideSignals signals = OutsideSignals::kForbidden);

}  // namespace obit
