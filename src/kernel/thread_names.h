#pragma once

#include <map>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// What threads are called: any bytes, at most 15 (prctl(2), PR_SET_NAME); by their ids as their core has
/// them, which are those of their innermost pid namespace.
using ThreadNames = std::map<pid_t, std::string>;

inline constexpr std::size_t kThreadsLookedAt = 4096;  ///< of one process, for their names
inline constexpr std::size_t kThreadNamesMax = 1024;   ///< that are kept of it

/// The names that differ from `usual`, which is what most threads are called: their process' name. `dir` is
/// /proc/TID of one of its threads; the caller holds a pidfd and checks it after the call. Waits for nobody:
/// neither the memory of the process nor any file system but /proc is asked. The oldest threads come first,
/// where there are too many.
[[nodiscard]] Result<ThreadNames> ReadThreadNames(const Fd& dir, std::string_view usual);

}  // namespace obit
