#pragma once

// For tests. Included by them only.

#include <sys/resource.h>

namespace obit::testing {

/// Lets this process have `count` descriptors, if its hard limit does; false if that is lower.
inline bool AllowDescriptors(rlim_t count) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < count) return false;
  if (limit.rlim_cur < count) limit.rlim_cur = count;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace obit::testing
