#pragma once

#include <sys/resource.h>

#include "base/result.h"

namespace obit {

/// Lowers a limit of the process for good (setrlimit(2)); one that is lower already stays.
[[nodiscard]] Result<void> LowerLimit(__rlimit_resource which, rlim_t value);

/// The same of its addresses, in bytes (RLIMIT_AS). Not where a sanitizer reserves terabytes of them.
[[nodiscard]] Result<void> LimitAddresses(rlim_t bytes);

}  // namespace obit
