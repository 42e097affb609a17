#include "server/confine.h"

#include <csignal>
#include <functional>
#include <thread>

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/landlock.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::kDied;
using testing::kWorked;
using testing::Outcome;
using testing::OutcomeOf;
using testing::TemporaryFolder;

constexpr int kNotConfined = 255;

class ConfineTest : public ::testing::Test {
 protected:
  ConfineTest() {
    EXPECT_THAT(MakeDirectories(folder_ / "incoming", 0700), testing::Succeeds());
    EXPECT_THAT(WriteFileAtomically(folder_.fd(), "other", "text", 0600), testing::Succeeds());
    incoming_ = *Open(folder_ / "incoming", O_RDONLY | O_DIRECTORY);
  }
  static Outcome Try(const std::function<Result<void>()>& confine, const std::function<long()>& attempt) {
    Child child(::fork());
    if (child.pid() == 0) {
      ::prctl(PR_SET_DUMPABLE, 0);  // its death is not for whoever records crashes here
      if (!confine()) ::_exit(kNotConfined);
      ::_exit(attempt() < 0 ? errno : 0);
    }
    const int status = child.Wait();
    EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == kNotConfined) << "it cannot be confined";
    return OutcomeOf(status);
  }
  Outcome Worker(const std::function<long()>& attempt) {
    return Try([&] { return ConfineWorker(incoming_); }, attempt);
  }
  static Outcome Manager(const std::function<long()>& attempt) { return Try(ConfineManager, attempt); }
  TemporaryFolder folder_;
  Fd incoming_;
};

TEST_F(ConfineTest, NeitherStartsPrograms) {
  const auto execute = [] { return ::execl("/bin/true", "true", nullptr); };
  EXPECT_EQ(Worker(execute), kDied);
  EXPECT_EQ(Manager(execute), kDied);
}

TEST_F(ConfineTest, NeitherReachesTheNetworkOrChangesTheSystem) {
  const std::pair<const char*, std::function<long()>> attempts[] = {
      {"ptrace", [] { return ::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr); }},
      {"process_vm_readv", [] { return ::process_vm_readv(::getppid(), nullptr, 0, nullptr, 0, 0); }},
      {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
      {"io_uring", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }},
      {"unshare", [] { return ::unshare(CLONE_NEWUSER); }},
      {"mount", [] { return ::syscall(SYS_mount, nullptr, "/", nullptr, 0, nullptr); }},
      {"chroot", [] { return ::chroot("/"); }},
      {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, 0); }},
  };
  for (const auto& [what, attempt] : attempts) {
    EXPECT_EQ(Worker(attempt), kDied) << what;
    EXPECT_EQ(Manager(attempt), kDied) << what;
  }
  const auto internet = [] { return ::socket(AF_INET, SOCK_STREAM, 0); };
  EXPECT_EQ(Worker(internet), kDied);
  EXPECT_EQ(Manager(internet), (Outcome{ENOSYS, 0}));
  EXPECT_EQ(Manager([] { return ::socket(AF_UNIX, SOCK_DGRAM, 0); }), kWorked);
}

TEST_F(ConfineTest, NeitherMakesCode) {
  const auto map = [] {
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
                                                                                                          : 0;
  };
  EXPECT_EQ(Worker(map), (Outcome{EACCES, 0}));
  EXPECT_EQ(Manager(map), (Outcome{EACCES, 0}));
}

TEST_F(ConfineTest, TheManagerForksAndIsNeverDumpable) {
  EXPECT_EQ(Manager([] {
              const pid_t pid = ::fork();
              if (pid == 0) ::_exit(0);
              return static_cast<long>(::waitpid(pid, nullptr, 0));
            }),
            kWorked);
  EXPECT_EQ(
      Manager([] { return ::syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, nullptr, nullptr, nullptr, 0); }),
      (Outcome{ENOSYS, 0}));
  EXPECT_EQ(Manager([] { return ::prctl(PR_SET_DUMPABLE, 1); }), (Outcome{ENOSYS, 0}));
}

TEST_F(ConfineTest, AWorkerHasThreadsAndNoChildren) {
  EXPECT_EQ(Worker([] {
              std::thread([] {}).join();
              return 0;
            }),
            kWorked);
  EXPECT_EQ(Worker([] { return ::fork(); }), (Outcome{ENOSYS, 0}));
  EXPECT_EQ(Worker([] { return ::kill(::getppid(), 0); }), kDied);
}

TEST_F(ConfineTest, AWorkerWritesToIncomingOnly) {
  EXPECT_EQ(Worker([&] { return WriteFileAtomically(incoming_, "core", "x", 0600) ? 0 : -1; }), kWorked);
  if (Try([] { return RestrictFiles(FileAccess::kRead) ? Result<void>() : Fail(errno, "landlock"); },
          [] { return *RestrictFiles(FileAccess::kRead) ? 0 : (errno = EOPNOTSUPP, -1); }) != kWorked)
    GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(Worker([&] { return ::openat(folder_.fd().get(), "other", O_RDONLY); }), (Outcome{EACCES, 0}));
  EXPECT_EQ(Worker([] { return ::openat(AT_FDCWD, "/etc/passwd", O_RDONLY); }), (Outcome{EACCES, 0}));
  EXPECT_EQ(Worker([&] { return ::unlinkat(folder_.fd().get(), "other", 0); }), (Outcome{EACCES, 0}));
}

}  // namespace
}  // namespace obit
