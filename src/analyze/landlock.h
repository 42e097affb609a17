#pragma once

#include "base/result.h"

namespace obit {

/// What files a process may still open. What is open stays as it was opened.
enum class FileAccess {
  kRead,     ///< nothing may be written, made, removed or executed
  kNothing,  ///< nor read
};

/// Gives up rights to files for good by Landlock (landlock(7), Linux 5.13), and on newer kernels also TCP
/// (6.7), device ioctls (6.10), abstract sockets and signals to processes outside (6.12). False where the
/// kernel has no Landlock or it is off: then nothing has changed. The caller has set no_new_privs.
[[nodiscard]] Result<bool> RestrictFiles(FileAccess access);

}  // namespace obit
