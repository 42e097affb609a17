#pragma once

#include <sys/resource.h>

#include "base/result.h"

namespace obit {

/// True if this process or the host has no more of what it takes, be it for what is under way between
/// processes: neither file nor peer is to blame, and it may go well later.
[[nodiscard]] bool IsShortage(const Error& error);

/// Lowers a limit of the process for good (setrlimit(2)); one that is lower already stays.
[[nodiscard]] Result<void> LowerLimit(__rlimit_resource which, rlim_t value);

/// The same of its addresses, in bytes (RLIMIT_AS). Not where a sanitizer reserves terabytes of them.
[[nodiscard]] Result<void> LimitAddresses(rlim_t bytes);

/// Keeps what the process has in memory there, and what it will have from the moment it is there: a page that
/// was taken away would have to come from a disk (mlockall(2)). Only where RLIMIT_MEMLOCK is no limit, EPERM:
/// else memory could not be had later.
[[nodiscard]] Result<void> LockMemory();

}  // namespace obit
