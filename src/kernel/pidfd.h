#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// Whose data a dump may hold: what fs.suid_dumpable and the credentials made of the process at its death.
enum class DumpMode {
  kUnknown,
  kUser,  ///< dumpable 1: the owner may read the core
  kRoot,  ///< dumpable 2: privileged; only root and group obit
};

/// What PIDFD_GET_INFO says of a process (include/uapi/linux/pidfd.h; coredump fields from Linux 6.16).
struct PidfdInfo {
  pid_t pid = 0;                ///< thread-group leader, in the caller's pid namespace; 0: it was reaped
  bool coredump_known = false;  ///< this kernel reports core dumps (6.16)
  bool coredumped = false;  ///< it is dumping core, or has: the only proof that the kernel made a connection
  DumpMode dump_mode = DumpMode::kUnknown;
  std::optional<uid_t> uid;   ///< the real one, in the caller's user namespace; nothing: it was reaped
  bool one_identity = false;  ///< real, effective, saved and file system ids are the same, of user and group
  std::uint64_t cgroup = 0;   ///< the id of its cgroup in the unified hierarchy; 0: unknown
  std::optional<int> signal;  ///< the fatal signal (6.19)
  std::optional<int> code;    ///< its si_code (7.1)
};

/// Asks the kernel about the process behind `pidfd`. ESRCH: gone and nothing is known; EREMOTE: of a foreign
/// pid namespace; ENOTTY or EINVAL: the kernel is older than 6.13.
[[nodiscard]] Result<PidfdInfo> GetPidfdInfo(const Fd& pidfd);

/// SO_PEERPIDFD (6.5): the process that connected, its thread-group leader. Stays valid after it was reaped.
[[nodiscard]] Result<Fd> PeerPidfd(const Fd& connection);

/// pidfd_open(2). Only for kernels whose pipe mode has no %F: the pid may name another process by now.
[[nodiscard]] Result<Fd> OpenPidfd(pid_t pid);

/// True while the process has not been reaped: until then its pid names no other process.
[[nodiscard]] bool StillNamed(const Fd& pidfd);

/// True once the process has exited, reaped or not.
[[nodiscard]] bool HasExited(const Fd& pidfd);

/// Sends SIGKILL. What cannot be signalled is left alone.
void KillProcess(const Fd& pidfd);

}  // namespace obit
