#include "base/limits.h"

#include <algorithm>
#include <cerrno>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_support.h"

namespace obit {
namespace {

constexpr int kNotAllowed = 254, kNoMemory = 255;

/// The exit status of a child that locks its memory, with that limit of it.
int LockWith(rlim_t limit) {
  testing::Child child(::fork());
  if (child.pid() == 0) {
    const rlimit both{limit, limit};
    if (::setrlimit(RLIMIT_MEMLOCK, &both) < 0) ::_exit(kNotAllowed);
    const auto locked = LockMemory();
    constexpr std::size_t kMuch = std::size_t{1} << 30;  // none of it is touched
    if (::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
      ::_exit(kNoMemory);
    ::_exit(locked ? 0 : locked.error().code);
  }
  return WEXITSTATUS(child.Wait());
}

TEST(LockMemory, NeverMakesMemoryShort) {
  rlimit now{};
  ::getrlimit(RLIMIT_MEMLOCK, &now);
  EXPECT_EQ(LockWith(std::min<rlim_t>(now.rlim_max, 1 << 20)), EPERM);
  const int unlimited = LockWith(RLIM_INFINITY);
  if (unlimited == kNotAllowed) GTEST_SKIP() << "who runs this may not raise the limit";
  EXPECT_EQ(unlimited, 0);
}

}  // namespace
}  // namespace obit
