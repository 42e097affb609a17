#include "server/role_process.h"

#include <cerrno>
#include <csignal>
#include <vector>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/signal_name.h"
#include "base/unix_socket.h"
#include "kernel/pidfd.h"
#include "process/descriptors.h"

namespace obit {
namespace {

constexpr rlim_t kLockedMax = 8 << 20;  // bytes (MLOCK_LIMIT of include/uapi/linux/resource.h)

const char* TitleOf(Role role) {
  switch (role) {
    case Role::kSupervisor:
      break;
    case Role::kManager:
      return "obitd-manager";
    case Role::kInspector:
      return "obitd-inspect";
    case Role::kWorker:
      return "obitd-capture";
    case Role::kPump:
      return "obitd-pump";
    case Role::kClerk:
      return "obitd-clerk";
  }
  return "obitd";
}

}  // namespace

void BecomeChild(const char* name, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // it died before the line above
  ::prctl(PR_SET_NAME, name);
  ::prctl(PR_SET_DUMPABLE, 0);  // its crash must not connect to its own server
  // A terminal and a service manager may signal all processes: the supervisor says what is to be done.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<RoleProcess> ForkRole(Role role, const std::function<void(Fd)>& life) {
  SocketPair pair = OBIT_TRY(MakeSocketPair(SOCK_SEQPACKET));
  // The end that the manager gets: to close what an inspector has sent could wait for a file system.
  if (role != Role::kManager) OBIT_TRY(RefuseDescriptors(pair.first));
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return Fail(errno, "fork the {}", NameOf(role));
  if (pid == 0) {
    BecomeChild(TitleOf(role), parent);
    pair.first.Reset();
    // That of the manager is none (obitd's main.cc); a hook of the clerk's gets what the kernel begins with.
    if (role != Role::kManager) (void)LowerLimit(RLIMIT_MEMLOCK, kLockedMax);
    life(std::move(pair.second));
    ::_exit(0);
  }
  auto pidfd = OpenPidfd(pid);
  if (!pidfd) {
    ::kill(pid, SIGKILL);
    return std::unexpected(std::move(pidfd).error());
  }
  return RoleProcess{pid, std::move(*pidfd), std::move(pair.first)};
}

void KeepWithLog(std::initializer_list<Fd*> kept, Fd log) {
  std::vector<Fd*> all(kept);
  all.push_back(&log);
  SendLogTo(Fd());  // the parent's: its number may be another descriptor's in a moment
  KeepOnly(all);
  if (log) SendLogTo(std::move(log));
}

std::string DescribeEnd(int status) {
  if (WIFSIGNALED(status)) return fmt::format("died of {}", SignalName(WTERMSIG(status)));
  if (WIFSTOPPED(status)) return "was stopped";
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

}  // namespace obit
