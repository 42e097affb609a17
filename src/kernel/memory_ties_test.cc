#include "kernel/memory_ties.h"

#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::TemporaryFolder;

Fd Proc() { return *Open("/proc", O_RDONLY | O_DIRECTORY); }
MemoryTies TiesOf(const Child& child) { return ReadMemoryTies(Proc(), child.pid(), ::getpid()); }

Child Fork() {
  Child child(::fork());
  if (child.pid() == 0) {
    ::raise(SIGSTOP);
    for (;;) ::pause();
  }
  ::waitpid(child.pid(), nullptr, WUNTRACED);  // the C library is done with it
  return child;
}

TEST(ParseLocks, TakesThoseOfOpenFiles) {
  EXPECT_THAT(ParseLocks("1: POSIX  ADVISORY  WRITE 812 08:01:11 0 EOF\n"
                         "2: FLOCK  ADVISORY  WRITE 813 08:1a:131 0 EOF\n"
                         "2: -> FLOCK  ADVISORY  READ 814 08:1a:131 0 EOF\n"
                         "3: OFDLCK ADVISORY  READ -1 00:19:7 128 128\n"
                         "4: FLOCK nonsense\n"),
              ElementsAre(MemoryTies::LockedFile{8, 0x1a, 131}, MemoryTies::LockedFile{0, 0x19, 7}));
  EXPECT_THAT(ParseLocks(""), IsEmpty());
}

TEST(ReadMemoryTies, HasALockOfThisHost) {
  const TemporaryFolder folder;
  const Fd file = *Open(folder / "locked", O_RDWR | O_CREAT);
  struct stat status{};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  const MemoryTies::LockedFile locked{major(status.st_dev), minor(status.st_dev), status.st_ino};
  const Child child = Fork();
  EXPECT_THAT(TiesOf(child).locked, Not(Contains(locked)));
  ASSERT_EQ(::flock(file.get(), LOCK_EX), 0);
  EXPECT_THAT(TiesOf(child).locked, Contains(locked));
}

TEST(ReadMemoryTies, AChildOfForkHasItsOwnMemory) {
  const Child child = Fork();
  EXPECT_EQ(TiesOf(child).hold, "");
}

TEST(ReadMemoryTies, KnowsWhoHasTheSameMemory) {
  std::vector<std::byte> stack(64 * 1024);
  const Child child(::clone(
      [](void*) -> int {
        for (;;) ::pause();
      },
      stack.data() + stack.size(), CLONE_VM | SIGCHLD, nullptr));
  EXPECT_THAT(TiesOf(child).hold, HasSubstr(fmt::format("process {} has the same memory", ::getpid())));
}

TEST(ReadMemoryTies, HasTheRobustListOfEachThread) {
  const Child child = Fork();
  EXPECT_EQ(TiesOf(child).robust_lists.size(), 1u) << "glibc gives one to each thread";
}

}  // namespace
}  // namespace obit
