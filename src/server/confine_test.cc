#include "server/confine.h"

#include "server/test_confine.h"

namespace obit {
namespace {

using testing::Check;
using testing::Child;
using testing::Execute;
using testing::Fork;
using testing::kDied;
using testing::kRefused;
using testing::kWorked;
using testing::Outcome;

class ConfineTest : public testing::ConfineTest {};

TEST_F(ConfineTest, NoRoleReachesTheNetworkOrOtherProcessesOrChangesTheSystem) {
  const std::pair<const char*, std::function<long()>> attempts[] = {
      {"ptrace", [] { return ::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr); }},
      {"process_vm_readv", [] { return ::process_vm_readv(::getppid(), nullptr, 0, nullptr, 0, 0); }},
      {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
      {"io_uring", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }},
      {"unshare", [] { return ::unshare(CLONE_NEWUSER); }},
      {"mount", [] { return ::syscall(SYS_mount, nullptr, "/", nullptr, 0, nullptr); }},
      {"chroot", [] { return ::chroot("/"); }},
      {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, 0); }},
      {"bind", [] { return ::bind(-1, nullptr, 0); }},
  };
  for (const auto& [what, attempt] : attempts) {
    for (const Role& role : Roles()) EXPECT_EQ(Try(role.confine, attempt), kDied) << role.name << " " << what;
    if (what == std::string("bind")) continue;
    // Hooks inherit it: they may ask.
    EXPECT_EQ(Supervisor(attempt), (Outcome{EPERM, 0})) << what;
  }
  const auto internet = [] { return ::socket(AF_INET, SOCK_STREAM, 0); };
  for (const Role& role : Roles())
    EXPECT_EQ(Try(role.confine, internet), role.name == std::string("clerk") ? kRefused : kDied) << role.name;
}

TEST_F(ConfineTest, NoRoleStartsProgramsOrProcessesOrMakesCode) {
  const auto map = [] {
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
                                                                                                          : 0;
  };
  for (const Role& role : Roles()) {
    EXPECT_EQ(Try(role.confine, Execute), kDied) << role.name;
    EXPECT_EQ(Try(role.confine, Fork), role.name == std::string("worker") ? kRefused : kDied) << role.name;
    EXPECT_EQ(Try(role.confine, map), (Outcome{EACCES, 0})) << role.name;
    EXPECT_NE(Try(role.confine, [] { return ::prctl(PR_SET_DUMPABLE, 1); }), kWorked) << role.name;
  }
}

TEST_F(ConfineTest, EachHasItsCapabilitiesAndNoWayToMore) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  for (const Role& role : Roles()) {
    // As obitd forks it: from a supervisor in which none is in effect. Told by a pipe's end: not all may ask.
    Child child(::fork());
    if (child.pid() == 0) {
      ::prctl(PR_SET_DUMPABLE, 0);
      if (!ConfineSupervisor() || *EffectiveCapabilities() != 0) ::_exit(1);
      const pid_t pid = ::fork();
      if (pid == 0) {
        if (!role.confine()) ::_exit(1);
        for (;;) ::poll(nullptr, 0, -1);
      }
      const std::string status = fmt::format("/proc/{}/status", pid);
      const std::string wanted =
          fmt::format("CapInh:\t{0:016x}\nCapPrm:\t{1:016x}\nCapEff:\t{1:016x}\n", 0, role.kept);
      bool found = false;
      for (int i = 0; i < 10'000 && !found && ::waitpid(pid, nullptr, WNOHANG) == 0; ++i) {
        const auto text = ReadFile(status, 1 << 16);
        found = text && text->text.contains(wanted) && text->text.contains("Seccomp_filters:\t2\n");
        ::sched_yield();
      }
      ::kill(pid, SIGKILL);
      ::_exit(found ? 0 : 2);
    }
    EXPECT_EQ(child.Wait(), 0) << role.name;
  }
}

TEST_F(ConfineTest, TheSupervisorForksAndSignalsAndLetsGrandchildrenExecute) {
  EXPECT_EQ(Supervisor(Fork), kWorked);
  EXPECT_EQ(Supervisor([] {
              const pid_t pid = ::fork();
              if (pid == 0) {
                Execute();
                ::_exit(1);
              }
              int status = -1;
              ::waitpid(pid, &status, 0);
              return Check(status == 0);
            }),
            kWorked);
  EXPECT_EQ(Supervisor([] {
              const auto pair = MakeSocketPair(SOCK_SEQPACKET);
              const auto pidfd = OpenPidfd(::getpid());
              return Check(pair && pidfd && SendMessage(pair->first, {}, std::array{pidfd->get()}));
            }),
            kWorked);
}

TEST_F(ConfineTest, TheManagerTouchesNoFile) {
  const Fd file = *Open(folder_ / "other", O_RDWR);
  char byte = 0;
  const std::pair<const char*, std::function<long()>> attempts[] = {
      {"open", [] { return ::openat(AT_FDCWD, "/dev/null", O_RDONLY); }},
      {"read", [&] { return ::read(file.get(), &byte, 1); }},
      {"pread", [&] { return ::pread(file.get(), &byte, 1, 0); }},
      {"write", [&] { return ::write(file.get(), "x", 1); }},
      {"fsync", [&] { return ::fsync(file.get()); }},
      {"rename", [&] { return ::renameat(folder_.fd().get(), "other", folder_.fd().get(), "x"); }},
      {"unlink", [&] { return ::unlinkat(folder_.fd().get(), "other", 0); }},
      {"stat", [] { return ::access("/", R_OK); }},
      {"flock", [&] { return ::flock(file.get(), LOCK_EX); }},
      {"kill", [] { return ::syscall(SYS_pidfd_send_signal, -1, SIGTERM, nullptr, 0); }},
  };
  for (const auto& [what, attempt] : attempts) EXPECT_EQ(Manager(attempt), kRefused) << what;
  EXPECT_EQ(Manager([] { return ::kill(::getppid(), 0); }), kDied);
}

TEST_F(ConfineTest, TheManagerAcceptsAsksPassesOnAndKills) {
  const std::string path = folder_ / "socket";
  const Fd listening = *ListenUnix(path, SOCK_STREAM, 1);
  const Fd connected = *ConnectUnix(path, SOCK_STREAM);
  Child victim(::fork());
  if (victim.pid() == 0)
    for (;;) ::pause();
  EXPECT_EQ(Manager([&] {
              const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
              epoll_event event{.events = EPOLLIN};
              const Fd connection(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
              if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, connection.get(), &event) < 0) return -1L;
              if (::epoll_wait(epoll.get(), &event, 1, 0) < 0) return -1L;
              const auto peer = PeerPidfd(connection);
              const auto bag = MakeSocketPair(SOCK_SEQPACKET);
              const auto copy = Duplicate(connection);
              if (!peer || !bag || !copy) return -1L;
              if (!SendMessage(bag->first, {}, std::array{bag->second.get()})) return -1L;
              const auto info = GetPidfdInfo(*peer);
              if (!info && info.error().code != ENOTTY && info.error().code != EINVAL) return -1L;
              const auto pidfd = OpenPidfd(victim.pid());
              if (!pidfd) return -1L;
              KillProcess(*pidfd);
              pollfd dead{pidfd->get(), POLLIN, 0};
              if (::poll(&dead, 1, 10'000) != 1) return -1L;
              return static_cast<long>(::shutdown(connection.get(), SHUT_RDWR));
            }),
            kWorked);
}

}  // namespace
}  // namespace obit
