#include "base/limits.h"

#include <algorithm>
#include <cerrno>

namespace obit {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kReservesAddresses = true;  // for shadow memory
#else
constexpr bool kReservesAddresses = false;
#endif

}  // namespace

Result<void> LowerLimit(__rlimit_resource which, rlim_t value) {
  rlimit limit{};
  if (::getrlimit(which, &limit) < 0) return Fail(errno, "read limit {}", static_cast<int>(which));
  limit.rlim_cur = limit.rlim_max = std::min(limit.rlim_max, value);
  if (::setrlimit(which, &limit) < 0) return Fail(errno, "set limit {}", static_cast<int>(which));
  return {};
}

Result<void> LimitAddresses(rlim_t bytes) {
  return kReservesAddresses ? Result<void>() : LowerLimit(RLIMIT_AS, bytes);
}

}  // namespace obit
