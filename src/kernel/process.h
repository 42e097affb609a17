#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// /proc/PID/stat of a process or thread (proc_pid_stat(5)); fields that obit has no use for are left out.
struct ProcessStat {
  pid_t id = 0;  ///< pid or tid, in the reader's namespace
  std::string comm;
  pid_t parent = 0;
  std::uint64_t flags = 0;        ///< PF_* of include/linux/sched.h
  std::uint64_t start_ticks = 0;  ///< since boot, in units of sysconf(_SC_CLK_TCK)
  std::uint64_t sp = 0;           ///< non-zero only while the task dumps or is parked by a dump (kstkesp)
  std::uint64_t pc = 0;           ///< (kstkeip)
  int exit_code = 0;              ///< wait status; in a dumping process the fatal signal (measured on 6.18)

  static constexpr std::uint64_t kDumpCore = 0x200;  ///< PF_DUMPCORE: the thread that crashed
};
/// Decodes one stat line. `comm` may hold anything, also ") " and newlines. EBADMSG: not such a line.
[[nodiscard]] Result<ProcessStat> ParseProcessStat(std::string_view line);
/// Reads and decodes `name`, a stat file below `dir`.
[[nodiscard]] Result<ProcessStat> ReadProcessStat(const Fd& dir, const std::string& name);
/// The thread of a process, `dir` is its /proc/PID, that is dumping core: the one that crashed.
[[nodiscard]] std::optional<ProcessStat> FindDumpingThread(const Fd& dir);
/// ProcessStat::start_ticks as ns of CLOCK_BOOTTIME.
[[nodiscard]] std::int64_t SinceBoot(std::uint64_t start_ticks);

/// What /proc tells of a crashing process. A fact that could not be read is empty: each is optional.
struct ProcessFacts {
  pid_t pid = 0;
  pid_t parent = 0;
  std::string comm;          ///< of the crashing thread's process, at most 15 bytes
  std::string exe;           ///< path as the process' mount namespace has it; without " (deleted)"
  bool exe_deleted = false;  ///< the file has no name any more
  std::vector<std::string> cmdline;
  bool cmdline_truncated = false;  ///< longer than kCmdlineMax
  std::string cwd, root, cgroup;
  std::optional<uid_t> uid, euid;
  std::optional<gid_t> gid, egid;
  /// Real, effective, saved and file system ids are the same, of user and group.
  std::optional<bool> one_identity;
  /// AT_SECURE of its auxiliary vector: it was started with rights that its user has not.
  std::optional<bool> secure;
  /// It holds capabilities in the caller's user namespace, of those that let it see more than its user may.
  std::optional<bool> capable;
  std::optional<std::uint64_t> threads;
  std::optional<std::uint64_t> core_limit;  ///< soft RLIMIT_CORE, bytes; UINT64_MAX is unlimited
  std::optional<std::uint64_t> virtual_bytes, resident_bytes;
  std::optional<std::int64_t> started;  ///< ns since 1970
  std::optional<pid_t> own_pid;         ///< in its innermost pid namespace
  std::string pid_namespace, mount_namespace, network_namespace, user_namespace;  ///< "pid:[4026531836]"
  std::optional<int> signal;                                                      ///< the fatal one
  /// The thread that crashed.
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

/// Reads what is cheap: names, signal, ids and rights, sizes, limit, cgroup, user namespace. `dir` is
/// /proc/PID. Else as ReadProcessFacts.
[[nodiscard]] ProcessFacts ReadBriefFacts(const Fd& proc, const Fd& dir, pid_t pid);

/// Reads all it can of the crashing process `pid` from `proc` (a descriptor of /proc). Small, bounded reads
/// that ask no file system but /proc, so that a dead NFS or FUSE server behind the process cannot hold the
/// caller. The caller holds a pidfd and checks it after the call: only then do the facts belong to that
/// process.
[[nodiscard]] ProcessFacts ReadProcessFacts(const Fd& proc, pid_t pid);

/// The file that the process executes, whatever became of its name: an O_PATH descriptor, made without asking
/// its file system.
[[nodiscard]] Result<Fd> OpenExecutable(const Fd& proc, pid_t pid);

/// True if `path`, the name that process `pid` has for its program, leads to it (`opened`) on this host, in
/// the mount namespace of the first process, as far as can be told without asking a file system. Where the
/// way there is closed to the caller, it is taken for it.
[[nodiscard]] bool IsReachable(const Fd& proc, pid_t pid, const std::string& path, const Fd& opened);

}  // namespace obit
