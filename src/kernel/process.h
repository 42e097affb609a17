#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"

namespace obit {

/// What /proc tells of a crashing process. A fact that could not be read is empty: each is optional.
struct ProcessFacts {
  pid_t pid = 0;
  pid_t parent = 0;
  std::string comm;          ///< of the crashing thread's process, at most 15 bytes
  std::string exe;           ///< ExecutableName::path
  bool exe_deleted = false;  ///< ExecutableName::deleted
  std::vector<std::string> cmdline;
  bool cmdline_truncated = false;  ///< longer than kCmdlineMax
  std::string cwd, root, cgroup;
  /// Those of exe, cwd, root and cgroup that are longer than could be read: they are left empty.
  std::vector<std::string> too_long;
  std::optional<uid_t> uid, euid;
  std::optional<gid_t> gid, egid;
  /// Real, effective, saved and file system ids are the same, of user and group, also in the first thread.
  std::optional<bool> one_identity;
  /// AT_SECURE of its auxiliary vector: it was started with rights that its user has not.
  std::optional<bool> secure;
  /// It holds capabilities in the caller's user namespace, of those that let it see more than its user may.
  std::optional<bool> capable;
  std::optional<std::uint64_t> threads;
  std::optional<std::uint64_t> core_limit;  ///< soft RLIMIT_CORE, bytes; UINT64_MAX is unlimited
  std::optional<std::uint64_t> virtual_bytes, resident_bytes;
  std::optional<std::int64_t> started;             ///< ns since 1970
  std::optional<std::int64_t> started_since_boot;  ///< the same by CLOCK_BOOTTIME, ns; it ticks each 10 ms
  std::optional<pid_t> own_pid;                    ///< in its innermost pid namespace
  std::string pid_namespace, mount_namespace, network_namespace, user_namespace;  ///< "pid:[4026531836]"
  std::optional<int> signal;                                                      ///< the fatal one
  /// The thread that crashed: the one that is looked at, if it dumps core.
  struct Thread {
    pid_t tid = 0;
    std::string comm;
    std::uint64_t sp = 0, pc = 0;
  };
  std::optional<Thread> crashing;
};

inline constexpr std::size_t kCmdlineMax = 32 * 1024;  ///< bytes of the command line that a record keeps

/// AT_SECURE of /proc/PID/auxv (getauxval(3)), whose words have 8 bytes, or 4 of a 32-bit process. Nothing:
/// there is none.
[[nodiscard]] std::optional<bool> SecureOfAuxv(std::string_view auxv);
/// True if a capability set of /proc/PID/status (hex) holds more than every login may have. Nothing: it is
/// none.
[[nodiscard]] std::optional<bool> IsCapable(std::string_view permitted);
[[nodiscard]] bool IsCapable(std::uint64_t permitted);

/// Soft RLIMIT_CORE of a limits file: bytes, or UINT64_MAX for "unlimited". Nothing: there is none.
[[nodiscard]] std::optional<std::uint64_t> SoftCoreLimit(std::string_view limits);

/// The path in the unified hierarchy of the cgroup of a process or thread below `dir`. Nothing: there is
/// none.
[[nodiscard]] std::optional<std::string> UnifiedCgroup(const Fd& dir);

/// A capability set is at the end of a status file, after up to 65,536 groups of ten digits.
inline constexpr std::size_t kStatusMax = 1 << 20;  ///< bytes of a status file that are read

// Facts of the crashing process `pid` below `dir`, /proc/TID of the thread that dumps core (OpenThread);
// `proc` is a descriptor of /proc. Small, bounded reads. The caller holds a pidfd and checks it after each
// call: only then do the facts belong to that process.

/// Reads what is cheap: names, signal, ids and rights, sizes, limit, cgroup, user namespace. Waits for no
/// more than ReadSafeFacts.
[[nodiscard]] ProcessFacts ReadBriefFacts(const Fd& proc, const Fd& dir, pid_t pid);

/// Those and the paths and namespaces: all that can be had without a wait for anybody. No file system but
/// /proc is asked, the process' mmap lock is not taken and its memory is not read: whoever serves them may be
/// dead, or the very process that crashed. Names are as the kernel has them (ReadExecutableLink).
[[nodiscard]] ProcessFacts ReadSafeFacts(const Fd& proc, const Fd& dir, pid_t pid);

/// Adds what may wait for ever: the command line, which lies in the memory of the process; and the program's
/// name as it is (ReadExecutableName).
void ReadRiskyFacts(const Fd& proc, const Fd& dir, ProcessFacts& facts);

}  // namespace obit
