#include "server/confine.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "base/capabilities.h"
#include "base/landlock.h"
#include "base/limits.h"
#include "base/system_call_filter.h"

namespace obit {
namespace {

/// For threads, which a worker has, and to wait.
constexpr int kOfThreads[] = {
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
};

/// To write a crash: its files below a folder that is open.
constexpr int kOfCrashFiles[] = {
    SCMP_SYS(openat),   SCMP_SYS(newfstatat), SCMP_SYS(unlinkat),  SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(pwrite64), SCMP_SYS(ftruncate),  SCMP_SYS(fallocate), SCMP_SYS(fsync),    SCMP_SYS(fdatasync),
};

/// To talk over sockets that are open.
constexpr int kOfSockets[] = {
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
};

/// What only the manager does: the store as a whole, /proc, its children, events.
constexpr int kOfManager[] = {
    // Files by path: the index, the configuration, /proc.
    SCMP_SYS(open),
    SCMP_SYS(openat2),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(unlink),
    SCMP_SYS(rename),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(fchown),
    SCMP_SYS(fgetxattr),
    SCMP_SYS(fsetxattr),
    SCMP_SYS(fremovexattr),
    SCMP_SYS(fchownat),
    SCMP_SYS(utimensat),
    SCMP_SYS(flock),
    SCMP_SYS(memfd_create),
    SCMP_SYS(umask),
    // Descriptors.
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(close_range),
    SCMP_SYS(fcntl),
    SCMP_SYS(pipe2),
    // Events.
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(signalfd4),
    SCMP_SYS(eventfd2),
    // Connections that come, and to the service manager.
    SCMP_SYS(accept4),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    // Children, and who is crashing.
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(getppid),
    SCMP_SYS(getpgrp),
    SCMP_SYS(setpriority),
    SCMP_SYS(pidfd_open),
    // For a worker that it forks, to be confined in its turn.
    SCMP_SYS(seccomp),
    SCMP_SYS(landlock_create_ruleset),
    SCMP_SYS(landlock_add_rule),
    SCMP_SYS(landlock_restrict_self),
    SCMP_SYS(capget),
    SCMP_SYS(capset),
};

constexpr std::uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                      CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME;

// Requests of ioctl(2), without the size of the argument: the kernel reads those of all sizes.
constexpr std::uint64_t kIoctlMask = 0xffff;
constexpr std::uint64_t kPidfdGetInfo = 0xff << 8 | 11;  // include/uapi/linux/pidfd.h
constexpr std::uint64_t kPagemapScan = 'f' << 8 | 16;    // include/uapi/linux/fs.h
constexpr std::uint64_t kProcmapQuery = 'f' << 8 | 17;   // the same

/// Threads, and processes that share no more than fork(2) lets them.
void AllowClone(SystemCallFilter& filter, std::uint64_t flags) {
  filter.AllowIf(SCMP_SYS(clone), {Masked(0, flags | kNamespaces, flags)});
  filter.RefuseIf(ENOSYS, SCMP_SYS(clone3), {});  // its flags are out of sight: the C library takes clone(2)
}

void RefuseTerminals(SystemCallFilter& filter) {
  for (const std::uint64_t request : {TCGETS, TIOCGWINSZ})
    filter.RefuseIf(ENOTTY, SCMP_SYS(ioctl), {Equals(1, request)});
}

// A worker's limits.

constexpr rlim_t kAddressesMax = rlim_t{4} << 30;  // bytes; the C library reserves much for each thread
constexpr rlim_t kFilesMax = 64;                   // it is given eight, and opens a few

}  // namespace

Result<void> ConfineManager() {
  OBIT_TRY(ForbidNewPrivileges());
  SystemCallFilter filter;
  filter.Kill(DeadlyCalls({SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(kill), SCMP_SYS(pidfd_open),
                           SCMP_SYS(pidfd_send_signal), SCMP_SYS(socket), SCMP_SYS(socketpair),
                           SCMP_SYS(connect), SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
                           SCMP_SYS(recvfrom), SCMP_SYS(recvmsg)}));
  filter.Allow(BasicCalls());
  filter.Allow(kOfThreads);
  filter.Allow(kOfCrashFiles);
  filter.Allow(kOfSockets);
  filter.Allow(kOfManager);
  filter.AllowMemoryWithoutCode();
  filter.AllowOfItself();
  AllowClone(filter, 0);
  filter.AllowIf(SCMP_SYS(socket), {Equals(0, AF_UNIX)});
  for (const int number : {0, SIGKILL}) {
    filter.AllowIf(SCMP_SYS(kill), {Equals(1, static_cast<std::uint64_t>(number))});
    filter.AllowIf(SCMP_SYS(pidfd_send_signal), {Equals(1, static_cast<std::uint64_t>(number))});
  }
  filter.AllowIf(SCMP_SYS(prlimit64), {Equals(0, 0)});
  for (const int option :
       {PR_SET_NAME, PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAPBSET_DROP})
    filter.AllowIf(SCMP_SYS(prctl), {Equals(0, static_cast<std::uint64_t>(option))});
  filter.AllowIf(SCMP_SYS(prctl), {Equals(0, PR_SET_DUMPABLE), Equals(1, 0)});
  filter.AllowIf(SCMP_SYS(ioctl), {Masked(1, kIoctlMask, kPidfdGetInfo)});
  filter.AllowIf(SCMP_SYS(ioctl), {Masked(1, kIoctlMask, kProcmapQuery)});
  filter.AllowIf(SCMP_SYS(ioctl), {Masked(1, kIoctlMask, kPagemapScan)});  // of a worker
  RefuseTerminals(filter);
  return filter.Load();
}

Result<void> ConfineWorker(const Fd& incoming) {
  OBIT_TRY(ForbidNewPrivileges());
  (void)OBIT_TRY(RestrictFiles(FileAccess::kNothing, {{incoming, FileAccess::kWrite}}));
  OBIT_TRY(KeepCapabilities(0));
  OBIT_TRY(LowerLimit(RLIMIT_CORE, 0));
  OBIT_TRY(LowerLimit(RLIMIT_NOFILE, kFilesMax));
  OBIT_TRY(LimitAddresses(kAddressesMax));
  SystemCallFilter filter;
  filter.Kill(DeadlyCalls({SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
                           SCMP_SYS(recvfrom), SCMP_SYS(recvmsg)}));
  filter.Allow(BasicCalls());
  filter.Allow(kOfThreads);
  filter.Allow(kOfCrashFiles);
  filter.Allow(kOfSockets);
  filter.AllowMemoryWithoutCode();
  filter.AllowDescriptorControl();
  filter.AllowOfItself();
  AllowClone(filter, CLONE_THREAD);
  filter.AllowIf(SCMP_SYS(ioctl), {Masked(1, kIoctlMask, kPagemapScan)});
  RefuseTerminals(filter);
  return filter.Load();
}

}  // namespace obit
