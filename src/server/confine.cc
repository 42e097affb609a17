// Those that have no capability: they see what crashed processes made, or the disk.

#include "server/confine.h"

#include <cerrno>

#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/capabilities.h"
#include "base/landlock.h"
#include "base/limits.h"
#include "server/background.h"
#include "server/confine_calls.h"

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

/// To write a crash: its files below a folder that is open, and the folder. What openat2(2) asks for, no
/// filter can see; it gives nothing beyond openat(2), whose flags are free here as well. What may be opened
/// for writing, and of a worker what may be opened at all, is Landlock's to say.
constexpr int kOfCrashFiles[] = {
    SCMP_SYS(openat),    SCMP_SYS(openat2),   SCMP_SYS(newfstatat), SCMP_SYS(unlinkat),   SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(mkdirat),   SCMP_SYS(flock),      SCMP_SYS(getdents64), SCMP_SYS(pwrite64),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync),      SCMP_SYS(fdatasync),  SCMP_SYS(fchmod),
};

/// To keep the memory of a process that is gone.
constexpr int kOfKeeping[] = {SCMP_SYS(eventfd2)};

/// A core that is in memory alone.
constexpr int kOfTraces[] = {SCMP_SYS(memfd_create)};

/// What only the clerk does: the store as a whole, its children, events.
constexpr int kOfClerk[] = {
    // Files by path: the index, the configuration.
    SCMP_SYS(open),
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
    SCMP_SYS(getcwd),
    SCMP_SYS(mkdir),
    SCMP_SYS(rmdir),
    SCMP_SYS(unlink),
    SCMP_SYS(rename),
    SCMP_SYS(fchmodat),
    SCMP_SYS(fchown),
    SCMP_SYS(fgetxattr),
    SCMP_SYS(fsetxattr),
    SCMP_SYS(fremovexattr),
    SCMP_SYS(fchownat),
    SCMP_SYS(utimensat),
    SCMP_SYS(memfd_create),
    SCMP_SYS(umask),
    // The log, without a wait.
    SCMP_SYS(pwritev2),
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
    // The numbers of the store, of which other processes take some.
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch),
    // The journal.
    SCMP_SYS(connect),
    SCMP_SYS(socketpair),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    // Children, which a launcher gave it.
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(getppid),
    SCMP_SYS(getpgrp),
    SCMP_SYS(setpriority),
    SCMP_SYS(pidfd_open),
};

/// To move bytes unseen.
constexpr int kOfPump[] = {SCMP_SYS(splice), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
                           SCMP_SYS(shutdown)};

// A worker's limits.
constexpr rlim_t kAddressesMax = rlim_t{4} << 30;  // bytes; the C library reserves much for each thread
constexpr rlim_t kFilesMax = 64;                   // it is given eight, and opens a few

}  // namespace

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
  filter.Allow(CallsOfSockets());
  filter.Allow(kOfThreads);
  filter.Allow(kOfCrashFiles);
  filter.Allow(kOfTraces);
  filter.Allow(kOfKeeping);
  filter.AllowMemoryWithoutCode();
  filter.AllowDescriptorControl();
  filter.AllowOfItself();
  AllowClone(filter, CLONE_THREAD);
  // Its own priorities.
  filter.AllowIf(SCMP_SYS(setpriority), {Equals(0, PRIO_PROCESS), Equals(1, 0)});
  filter.AllowIf(SCMP_SYS(ioprio_set), {Equals(0, kIoprioOfProcess), Equals(1, 0)});
  for (const IoctlRequest& request : kKeepMemory) AllowControl(filter, request);
  AllowControl(filter, kScanPagemap);
  RefuseTerminals(filter);
  return filter.Load();
}

Result<void> ConfinePump() {
  OBIT_TRY(ForbidNewPrivileges());
  (void)OBIT_TRY(RestrictFiles(FileAccess::kNothing));
  OBIT_TRY(KeepCapabilities(0));
  OBIT_TRY(LowerLimit(RLIMIT_CORE, 0));
  OBIT_TRY(LowerLimit(RLIMIT_NOFILE, kFilesMax));
  SystemCallFilter filter;
  filter.Kill(DeadlyCalls({SCMP_SYS(splice), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg)}));
  filter.Allow(CallsOfEveryRole());
  filter.Allow(kOfPump);
  filter.AllowMemoryWithoutCode();
  filter.AllowDescriptorControl();
  filter.AllowOfItself();
  return filter.Load();
}

Result<void> ConfineClerk(const Fd& store) {
  OBIT_TRY(ForbidNewPrivileges());
  // It ends hooks that take too long, and those are started by a process that is not confined like this.
  (void)OBIT_TRY(RestrictFiles(FileAccess::kRead, {{store, FileAccess::kWrite}}, OutsideSignals::kAllowed));
  OBIT_TRY(KeepCapabilities(0));
  SystemCallFilter filter;
  filter.Kill(DeadlyCalls({SCMP_SYS(kill), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal),
                           SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(sendto),
                           SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg)}));
  filter.Allow(BasicCalls());
  filter.Allow(CallsOfSockets());
  filter.Allow(kOfThreads);
  filter.Allow(kOfCrashFiles);
  filter.Allow(kOfClerk);
  filter.AllowMemoryWithoutCode();
  filter.AllowOfItself();
  filter.AllowIf(SCMP_SYS(socket), {Equals(0, AF_UNIX)});
  AllowKilling(filter, SCMP_SYS(kill));
  AllowKilling(filter, SCMP_SYS(pidfd_send_signal));
  filter.AllowIf(SCMP_SYS(prlimit64), {Equals(0, 0)});
  AllowControl(filter, kAskPidfdInfo);
  RefuseTerminals(filter);
  return filter.Load();
}

}  // namespace obit
