#include "server/peer.h"

#include <poll.h>

#include "base/unix_socket.h"

namespace obit {
namespace {

Result<PeerIdentity> Connected(const Fd& connection) {
  Fd pidfd = OBIT_TRY(PeerPidfd(connection));
  PidfdInfo info = OBIT_TRY(GetPidfdInfo(pidfd));
  if (info.pid == 0) info.pid = OBIT_TRY(PeerCredentials(connection)).pid;  // killed and reaped already
  if (!info.coredumped) return Refuse(EPERM, "process {} is not dumping core", info.pid);
  return PeerIdentity{std::move(pidfd), info, /*named_by_kernel=*/true, /*share=*/info.uid};
}

/// The process that dumps into the pipe has the only writing end: no table of descriptors has it
/// (umh_coredump_setup() of fs/coredump.c), and nobody but obitd could open the pipe anew.
bool StillDumps(const Fd& pipe) {
  pollfd watched{pipe.get(), POLLIN, 0};
  return pipe && ::poll(&watched, 1, 0) >= 0 && (watched.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

Result<PeerIdentity> Piped(Fd pidfd, pid_t pid, const Fd& pipe) {
  const bool passed_on = static_cast<bool>(pidfd);
  bool named_by_kernel = passed_on;
  PidfdInfo info;
  if (!passed_on)
    if (auto opened = OpenPidfd(pid)) {
      pidfd = std::move(*opened);
      named_by_kernel = StillDumps(pipe);  // in this order: its pid was taken when the pidfd was made
    }
  if (pidfd)
    if (const auto known = GetPidfdInfo(pidfd)) info = *known;
  info.pid = pid;
  // The kernel notes that a process dumps only where it has given its pidfd away.
  if (passed_on && info.coredump_known && !info.coredumped)
    return Refuse(EPERM, "process {} is not dumping core", pid);
  // The pid may have been reused since the crash, at worst by a privileged process that is crashing too. So
  // that nobody gets another's data, such a crash is for root only.
  if (!named_by_kernel) info.dump_mode = DumpMode::kRoot;
  return PeerIdentity{std::move(pidfd), info, named_by_kernel, /*share=*/info.uid};
}

}  // namespace

PeerIdentifier KernelPeers() { return {Connected, Piped}; }

}  // namespace obit
