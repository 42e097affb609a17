#include "base/limits.h"

#include <algorithm>
#include <cerrno>

#include <sys/mman.h>

namespace obit {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kReservesAddresses = true;  // for shadow memory
#else
constexpr bool kReservesAddresses = false;
#endif

}  // namespace

bool IsShortage(const Error& error) {
  return error.code == EMFILE || error.code == ENFILE || error.code == ENOMEM || error.code == ENOBUFS ||
         error.code == ETOOMANYREFS;
}

Result<void> LowerLimit(__rlimit_resource which, rlim_t value) {
  rlimit limit{};
  if (::getrlimit(which, &limit) < 0) return Fail(errno, "read limit {}", static_cast<int>(which));
  limit.rlim_cur = limit.rlim_max = std::min(limit.rlim_max, value);
  if (::setrlimit(which, &limit) < 0) return Fail(errno, "set limit {}", static_cast<int>(which));
  return {};
}

Result<void> LockMemory() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) < 0) return Fail(errno, "read the limit of locked memory");
  if (limit.rlim_cur != RLIM_INFINITY)
    return Refuse(EPERM, "the limit of locked memory is {} bytes", limit.rlim_cur);
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0) return Fail(errno, "lock memory");
  return {};
}

Result<void> LimitAddresses(rlim_t bytes) {
  return kReservesAddresses ? Result<void>() : LowerLimit(RLIMIT_AS, bytes);
}

}  // namespace obit
