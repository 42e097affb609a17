#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

// What is done to the folder of a crash, whoever does it.

/// Moves it; a crash is never overwritten by another, whatever the file system knows of renames. EEXIST:
/// there is one of that name.
[[nodiscard]] Result<void> MoveFolder(const Fd& from, const std::string& old_name, const Fd& to,
                                      const std::string& new_name);

/// Locks it (flock) for as long as `dir` is open, without a wait. EBUSY: another process has it.
[[nodiscard]] Result<void> LockFolder(const Fd& dir, const std::string& name);

/// " (process 4711, less)": who has locked it, for a message to people; empty where it cannot be told.
[[nodiscard]] std::string LockHolder(const Fd& file);

}  // namespace obit
