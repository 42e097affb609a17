#include "kernel/pidfd.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kernel/ioctl_request.h"

namespace obit {
namespace {

constexpr int kSoPeerPidfd = 77;  // SO_PEERPIDFD, Linux 6.5; Debian 12's headers lack it

/// struct pidfd_info of Linux 7.1 (VER3). Older kernels fill less of it; `mask` says what is there.
struct PidfdInfoWire {
  std::uint64_t mask, cgroupid;
  std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
  std::uint32_t coredump_mask;    // VER1, 6.16
  std::uint32_t coredump_signal;  // 6.19
  std::uint32_t
      coredump_code;  // 7.1; supported_mask lay here in 6.19 and 7.0, so only with kMaskCoredumpCode
  std::uint32_t padding;
  std::uint64_t supported_mask;
};
static_assert(sizeof(PidfdInfoWire) == 88 && offsetof(PidfdInfoWire, coredump_mask) == 64);

constexpr unsigned long kPidfdGetInfo = kAskPidfdInfo.With<PidfdInfoWire>();

enum : std::uint64_t {
  kMaskPid = 1 << 0,
  kMaskCreds = 1 << 1,  // of the first thread; answered with kMaskPid, also unasked
  kMaskCgroup = 1 << 2,
  kMaskExit = 1 << 3,  // asked for, it answers also about a process that was reaped (6.15)
  kMaskCoredump = 1 << 4,
  kMaskCoredumpSignal = 1 << 6,
  kMaskCoredumpCode = 1 << 7,
};
enum : std::uint32_t { kCoredumped = 1, kCoredumpUser = 4, kCoredumpRoot = 8 };

}  // namespace

Result<PidfdInfo> GetPidfdInfo(const Fd& pidfd) {
  PidfdInfoWire wire{};
  wire.mask = kMaskPid | kMaskCreds | kMaskCgroup | kMaskExit | kMaskCoredump;
  if (::ioctl(pidfd.get(), kPidfdGetInfo, &wire) < 0) return Fail(errno, "ask about a process by pidfd");
  PidfdInfo info;
  if ((wire.mask & kMaskPid) != 0) info.pid = static_cast<pid_t>(wire.tgid);
  if ((wire.mask & kMaskCreds) != 0) {
    info.uid = wire.ruid;
    const auto are = [](std::uint32_t id, std::initializer_list<std::uint32_t> others) {
      return std::ranges::all_of(others, [id](std::uint32_t other) { return other == id; });
    };
    info.one_identity = are(wire.ruid, {wire.euid, wire.suid, wire.fsuid}) &&
                        are(wire.rgid, {wire.egid, wire.sgid, wire.fsgid});
  }
  if ((wire.mask & kMaskCgroup) != 0) info.cgroup = wire.cgroupid;
  // 6.16 to 6.18 set the bit also for a process that never dumped, with an empty coredump_mask.
  info.coredump_known = (wire.mask & kMaskCoredump) != 0;
  if (info.coredump_known) {
    info.coredumped = (wire.coredump_mask & kCoredumped) != 0;
    if ((wire.coredump_mask & kCoredumpRoot) != 0)
      info.dump_mode = DumpMode::kRoot;
    else if ((wire.coredump_mask & kCoredumpUser) != 0)
      info.dump_mode = DumpMode::kUser;
  }
  if ((wire.mask & kMaskCoredumpSignal) != 0) info.signal = static_cast<int>(wire.coredump_signal);
  if ((wire.mask & kMaskCoredumpCode) != 0) info.code = static_cast<int>(wire.coredump_code);
  return info;
}

Result<Fd> PeerPidfd(const Fd& connection) {
  int pidfd = -1;
  socklen_t length = sizeof pidfd;
  if (::getsockopt(connection.get(), SOL_SOCKET, kSoPeerPidfd, &pidfd, &length) < 0)
    return Fail(errno, "ask for the peer's pidfd");
  return Fd(pidfd);
}

Result<Fd> OpenPidfd(pid_t pid) {
  const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return Fail(errno, "open a pidfd of {}", pid);
  return Fd(fd);
}

bool StillNamed(const Fd& pidfd) {
  // EPERM too means that there is such a process.
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), 0, nullptr, 0) == 0 || errno == EPERM;
}

bool HasExited(const Fd& pidfd) {
  pollfd watched{pidfd.get(), POLLIN, 0};
  return ::poll(&watched, 1, 0) > 0;
}

void KillProcess(const Fd& pidfd) {
  (void)::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

}  // namespace obit
