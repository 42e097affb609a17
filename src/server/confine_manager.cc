// The supervisor and the two that have capabilities: what they may not do is the point.

#include <cerrno>

#include <fcntl.h>
#include <linux/kcmp.h>

#include "base/capabilities.h"
#include "process/privileges.h"
#include "server/confine.h"
#include "server/confine_calls.h"

namespace obit {
namespace {

/// To wait for many at once, to accept, to ask who connected, and to pass on.
constexpr int kOfManager[] = {
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),   SCMP_SYS(epoll_wait),  SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),  SCMP_SYS(accept4),     SCMP_SYS(socketpair),  SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(pidfd_open),
};

/// To look at files, of /proc above all.
constexpr int kOfInspector[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(lseek),
    SCMP_SYS(openat2),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(capget),
    SCMP_SYS(fadvise64),
    // To keep the door.
    SCMP_SYS(accept4),
    SCMP_SYS(getsockopt),
    // Where the kernel keeps files that are only memory.
    SCMP_SYS(memfd_create),
};

/// Nothing of this creates, cuts or could write; O_TMPFILE asks for writing.
constexpr std::uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;

}  // namespace

Result<void> ConfineSupervisor() {
  OBIT_TRY(ForbidNewPrivileges());
  OBIT_TRY(LayDownCapabilities(ServerCapabilities()));
  SystemCallFilter filter(UnnamedCalls::kAllowed);
  // Not deadly: hooks inherit it, and a program that tries one of these and does without is none to kill.
  filter.Refuse(EPERM, DeadlyCalls({
                           // The roles need these: to be forked, to be killed, to talk.
                           SCMP_SYS(clone),
                           SCMP_SYS(kill),
                           SCMP_SYS(pidfd_open),
                           SCMP_SYS(pidfd_send_signal),
                           SCMP_SYS(socket),
                           SCMP_SYS(socketpair),
                           SCMP_SYS(connect),
                           SCMP_SYS(accept4),
                           SCMP_SYS(sendto),
                           SCMP_SYS(sendmsg),
                           SCMP_SYS(recvfrom),
                           SCMP_SYS(recvmsg),
                           SCMP_SYS(splice),
                           SCMP_SYS(kcmp),
                           // For analyses and hooks.
                           SCMP_SYS(fork),
                           SCMP_SYS(vfork),
                           SCMP_SYS(clone3),
                           SCMP_SYS(execve),
                           SCMP_SYS(execveat),
                           SCMP_SYS(tkill),
                           SCMP_SYS(rt_sigqueueinfo),
                           SCMP_SYS(rt_tgsigqueueinfo),
                           SCMP_SYS(bind),
                           SCMP_SYS(listen),
                           SCMP_SYS(accept),
                           SCMP_SYS(sendmmsg),
                           SCMP_SYS(recvmmsg),
                           SCMP_SYS(shmget),
                           SCMP_SYS(shmat),
                           SCMP_SYS(msgget),
                           SCMP_SYS(semget),
                           SCMP_SYS(mq_open),
                           SCMP_SYS(vmsplice),
                           SCMP_SYS(personality),
                           SCMP_SYS(name_to_handle_at),
                       }));
  return filter.Load();
}

Result<void> ConfineManager() {
  OBIT_TRY(ForbidNewPrivileges());
  OBIT_TRY(KeepCapabilities(ManagerCapabilities()));
  SystemCallFilter filter;
  filter.Kill(DeadlyCalls({SCMP_SYS(accept4), SCMP_SYS(socketpair), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
                           SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(pidfd_open),
                           SCMP_SYS(pidfd_send_signal)}));
  filter.Allow(CallsOfEveryRole());
  filter.Allow(CallsOfSockets());
  filter.Allow(kOfManager);
  filter.AllowMemoryWithoutCode();
  filter.AllowDescriptorControl();
  filter.AllowOfItself();
  AllowKilling(filter, SCMP_SYS(pidfd_send_signal));
  AllowControl(filter, kAskPidfdInfo);
  return filter.Load();
}

Result<void> ConfineInspector() {
  OBIT_TRY(ForbidNewPrivileges());
  OBIT_TRY(KeepCapabilities(InspectorCapabilities()));
  SystemCallFilter filter;
  filter.Kill(
      DeadlyCalls({SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom),
                   SCMP_SYS(recvmsg), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal), SCMP_SYS(kcmp)}));
  filter.Allow(CallsOfEveryRole());
  filter.Allow(CallsOfSockets());
  filter.Allow(kOfInspector);
  filter.AllowIf(SCMP_SYS(open), {Masked(1, kWriting, O_RDONLY)});
  filter.AllowIf(SCMP_SYS(openat), {Masked(2, kWriting, O_RDONLY)});
  filter.RefuseIf(EACCES, SCMP_SYS(creat), {});
  filter.AllowMemoryWithoutCode();
  filter.AllowDescriptorControl();
  filter.AllowOfItself();
  // Whether there is such a process, but not its end.
  filter.AllowIf(SCMP_SYS(pidfd_send_signal), {Equals(1, 0)});
  // What the memory of a process is tied to.
  filter.AllowIf(SCMP_SYS(kcmp), {Equals(2, KCMP_VM)});
  filter.AllowIf(SCMP_SYS(get_robust_list), {});
  AllowControl(filter, kAskPidfdInfo);
  AllowControl(filter, kQueryMapping);
  RefuseTerminals(filter);
  return filter.Load();
}

}  // namespace obit
