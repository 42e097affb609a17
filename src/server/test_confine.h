#pragma once

// For tests: a process of each role that has given up its rights, and an attempt of it.

#include <array>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/capabilities.h"
#include "base/io.h"
#include "base/landlock.h"
#include "base/test_support.h"
#include "base/unix_socket.h"
#include "kernel/pidfd.h"
#include "process/privileges.h"
#include "server/confine.h"

namespace obit::testing {

inline constexpr int kNotConfined = 255;

class ConfineTest : public ::testing::Test {
 protected:
  ConfineTest() {
    EXPECT_THAT(MakeDirectories(folder_ / "incoming", 0700), Succeeds());
    EXPECT_THAT(WriteFileAtomically(folder_.fd(), "other", "text", 0600), Succeeds());
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
  Outcome Supervisor(const std::function<long()>& attempt) { return Try(ConfineSupervisor, attempt); }
  Outcome Manager(const std::function<long()>& attempt) { return Try(ConfineManager, attempt); }
  Outcome Inspector(const std::function<long()>& attempt) { return Try(ConfineInspector, attempt); }
  Outcome Worker(const std::function<long()>& attempt) {
    return Try([&] { return ConfineWorker(incoming_); }, attempt);
  }
  Outcome Pump(const std::function<long()>& attempt) { return Try(ConfinePump, attempt); }
  Outcome Clerk(const std::function<long()>& attempt) {
    return Try([&] { return ConfineClerk(incoming_); }, attempt);
  }
  struct Role {
    const char* name;
    std::function<Result<void>()> confine;
    Capabilities kept;
  };
  /// All but the supervisor.
  std::vector<Role> Roles() {
    return {{"manager", ConfineManager, ManagerCapabilities()},
            {"inspector", ConfineInspector, InspectorCapabilities()},
            {"worker", [this] { return ConfineWorker(incoming_); }, 0},
            {"pump", ConfinePump, 0},
            {"clerk", [this] { return ConfineClerk(incoming_); }, 0}};
  }
  static bool HasLandlock() {
    return Try([] { return Result<void>(ForbidNewPrivileges()); },
               [] { return *RestrictFiles(FileAccess::kRead) ? 0 : (errno = EOPNOTSUPP, -1); }) == kWorked;
  }
  TemporaryFolder folder_;
  Fd incoming_;
};

inline constexpr Outcome kRefused{ENOSYS, 0};

inline long Execute() { return ::execl("/bin/true", "true", nullptr); }
inline long Fork() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  return ::waitpid(pid, nullptr, 0);
}
/// It is: -1 is -1 and an errno, anything else is 0.
inline long Check(bool holds) {
  errno = EDOM;
  return holds ? 0 : -1;
}

}  // namespace obit::testing
