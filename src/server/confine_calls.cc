#include "server/confine_calls.h"

#include <cerrno>
#include <csignal>

#include <sched.h>
#include <sys/ioctl.h>
#include <termios.h>

namespace obit {
namespace {

constexpr int kOfEveryRole[] = {
    SCMP_SYS(close),        SCMP_SYS(brk),
    SCMP_SYS(munmap),       SCMP_SYS(mremap),
    SCMP_SYS(madvise),      SCMP_SYS(futex),
    SCMP_SYS(sched_yield),  SCMP_SYS(restart_syscall),
    SCMP_SYS(poll),         SCMP_SYS(ppoll),
    SCMP_SYS(getrandom),    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getpid),       SCMP_SYS(getppid),
    SCMP_SYS(gettid),       SCMP_SYS(getuid),
    SCMP_SYS(geteuid),      SCMP_SYS(getgid),
    SCMP_SYS(getegid),      SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack),  SCMP_SYS(rseq),
    SCMP_SYS(exit),         SCMP_SYS(exit_group),
};

constexpr int kOfSockets[] = {
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
};

constexpr std::uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                      CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME;
constexpr std::uint64_t kRequestMask = 0xffff;

}  // namespace

std::span<const int> CallsOfEveryRole() { return kOfEveryRole; }
std::span<const int> CallsOfSockets() { return kOfSockets; }

void AllowClone(SystemCallFilter& filter, std::uint64_t flags) {
  filter.AllowIf(SCMP_SYS(clone), {Masked(0, flags | kNamespaces, flags)});
  filter.RefuseIf(ENOSYS, SCMP_SYS(clone3), {});  // its flags are out of sight: the C library takes clone(2)
}

void AllowControl(SystemCallFilter& filter, const IoctlRequest& request) {
  filter.AllowIf(SCMP_SYS(ioctl), {Masked(1, kRequestMask, request.without_size())});
}

void RefuseTerminals(SystemCallFilter& filter) {
  for (const std::uint64_t request : {TCGETS, TIOCGWINSZ})
    filter.RefuseIf(ENOTTY, SCMP_SYS(ioctl), {Equals(1, request)});
}

void AllowKilling(SystemCallFilter& filter, int call) {
  for (const int number : {0, SIGKILL}) filter.AllowIf(call, {Equals(1, static_cast<std::uint64_t>(number))});
}

}  // namespace obit
