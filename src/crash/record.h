#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/signal_name.h"
#include "crash/handling.h"

namespace obit {

/// How much of a crash is kept. Asked for by the policy; CrashOutcome says what came of it.
enum class Detail {
  kFull,     ///< every byte that the kernel would dump
  kMinimal,  ///< stacks and what registers point to
  kEvent,    ///< that it happened
  kReject,   ///< only counted
};

/// How the core was got.
enum class CaptureMethod {
  kNone,    ///< there is none
  kStream,  ///< read from the kernel
  kDirect,  ///< memory copied from /proc/PID/mem
  kImport,  ///< from a core file that somebody had
};

/// What a crash ended as.
enum class CrashOutcome {
  kFull,
  kMinimal,
  kEvent,
  kTruncated,  ///< the core ends early, or is known to be damaged; the reason says why
  kFailed,     ///< a core was wanted and there is none; the reason says why
};

/// What was short when a crash came, so that less of it is kept than the configuration says.
enum class Shortage {
  kNone,
  kDisk,    ///< room where the store lies
  kQueue,   ///< time: more waits for a worker than can be captured soon
  kMemory,  ///< memory of the host
};
inline constexpr std::size_t kShortages = 4;

/// Some memory of the crashed process.
struct NamedMemory {
  std::uint64_t address = 0, bytes = 0;
  std::string name;  ///< of the mapping, "[vvar]"; empty if it has none
  bool operator==(const NamedMemory&) const = default;
};

/// The kernel's own core, read after a direct capture and compared with it.
struct Verification {
  std::uint64_t bytes = 0;               ///< compared
  std::vector<NamedMemory> differences;  ///< the first CrashRecord::Capture::kRangesMax
  std::uint64_t different_bytes = 0;     ///< of all, whole pages
};

/// Numbers of crashes end here: JSON readers keep them exactly, and there is no end to reach by counting.
inline constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 52;

/// What tells a program from another file of its name. Any numbers: they are its file system's.
struct ExeFile {
  std::uint64_t inode = 0, bytes = 0;
  std::int64_t modified = 0;  ///< ns since 1970
  bool operator==(const ExeFile&) const = default;
};

/// One crash: plain data, written once as crash.json (docs/store-format.md describes each field there).
/// Strings of the crashed process hold any bytes and are escaped only when written as JSON or printed. What
/// is not known is empty.
struct CrashRecord {
  static constexpr int kSchema = 1;

  std::string id;  ///< 16 hex digits
  /// In the order in which the crashes of a store were accepted, whatever the clock said: from 1. 0: it has
  /// none, and came before those that have one.
  std::uint64_t number = 0;
  std::int64_t time = 0;  ///< of the crash, ns since 1970
  struct Host {
    std::string name, kernel, boot_id;
  } host;

  struct Process {
    pid_t pid = 0;  ///< in the server's pid namespace; 0 is not visible from there
    std::optional<pid_t> own_pid, parent;
    std::string comm;
    std::string exe;  ///< as the process' mount namespace names it
    bool exe_deleted = false;
    std::string exe_build_id;  ///< hex
    std::optional<ExeFile> exe_file;
    std::vector<std::string> cmdline;
    bool cmdline_truncated = false;
    std::string cwd, root, cgroup;
    /// Those of "exe", "cwd", "root" and "cgroup" that are longer than can be read, and so are not known.
    std::vector<std::string> too_long;
    std::optional<uid_t> uid, euid;
    std::optional<gid_t> gid, egid;
    std::optional<bool> privileged;  ///< setuid and the like: its data is not for its user
    std::optional<std::uint64_t> threads, virtual_bytes, resident_bytes;
    std::optional<std::uint64_t> core_limit;  ///< soft RLIMIT_CORE, bytes; UINT64_MAX is unlimited
    std::optional<std::int64_t> started;      ///< ns since 1970
    std::string pid_namespace, mount_namespace, network_namespace, user_namespace;
  } process;

  struct Thread {
    pid_t tid = 0;
    std::string comm;
    std::optional<std::uint64_t> pc, sp;
  } thread;  ///< the one that crashed

  /// What threads are called that are not called as the process is, by their ids in its own pid namespace, as
  /// the core has them: those of the first 1024.
  std::map<pid_t, std::string> thread_names;

  struct Signal {
    int number = 0;  ///< 0: not known
    std::optional<int> code;
    std::optional<std::uint64_t> address;  ///< of the fault
    std::optional<pid_t> sender_pid;
    std::optional<uid_t> sender_uid;
  } signal;

  struct Capture {
    std::string transport;  ///< "file", "pipe", "socket", "socket-request"
    std::string rule;       ///< of the configuration, that won: its title, or where it stands
    /// The kernel's dump mode was "root", not "user": of a program with more rights than its user, and of one
    /// that may not be read.
    std::optional<bool> root_only;
    CrashHandling handling;  ///< as the rule says
    CaptureMethod method = CaptureMethod::kNone;
    Detail detail = Detail::kFull;
    CrashOutcome outcome = CrashOutcome::kFailed;
    std::string reason;  ///< why it is less than was asked for, or why only an event was asked for
    Shortage lowered = Shortage::kNone;           ///< why `detail` is less than the configuration keeps
    std::string lowered_reason;                   ///< the same for people
    std::uint64_t core_bytes = 0;                 ///< of the plain core as stored
    std::optional<std::uint64_t> promised_bytes;  ///< what its program headers say
    /// What the kernel's core would have been, bytes, where a smaller one was made instead: a minimal one.
    std::optional<std::uint64_t> full_bytes;
    /// So much of it was to be kept at most, bytes: RLIMIT_CORE, where that counts and is a limit.
    std::optional<std::uint64_t> core_max;
    std::uint64_t stored_bytes = 0;   ///< of core.zst
    std::uint64_t omitted_bytes = 0;  ///< of holes that core.zst has by their length alone: zstd omits them
    double held_seconds = 0;          ///< from the connection until the process could exit
    /// From the connection until its memory was copied, where that came later: it was kept without it.
    std::optional<double> copied_seconds;
    std::string kept_because;  ///< why its memory was
    std::string held_because;  ///< why it was held instead until that was copied, in spite of its size
    bool synced = true;  ///< false: the disk refused to say that the core is on it; the reason says more
    /// Why a core, or a part of it, came by stream though direct was wanted; and that less was asked for.
    std::string stream_reason;
    std::string exe_reason;  ///< why there is no copy of a program that has no name on this host

    static constexpr std::size_t kRangesMax = 32;
    /// What direct capture could not read: zeros in the core, where the kernel may have had bytes.
    std::vector<NamedMemory> unread;  ///< the first kRangesMax
    std::uint64_t unread_bytes = 0;   ///< of all

    std::optional<Verification> verified;
    std::string verify_reason;  ///< why it was not compared though that was wanted
  } capture;

  struct Files {
    std::string core;  ///< "core.zst", or empty
    std::string exe;   ///< "exe.zst": kept only if the program has no name on this host
  } files;
};

[[nodiscard]] std::string_view NameOf(Detail detail);
[[nodiscard]] std::string_view NameOf(CaptureMethod method);
[[nodiscard]] std::string_view NameOf(CrashOutcome outcome);
[[nodiscard]] std::string_view NameOf(Shortage shortage);
[[nodiscard]] std::optional<Shortage> ShortageNamed(std::string_view name);
[[nodiscard]] std::optional<CrashOutcome> OutcomeNamed(std::string_view name);
[[nodiscard]] std::optional<Detail> DetailNamed(std::string_view name);
[[nodiscard]] std::optional<CaptureMethod> MethodNamed(std::string_view name);

/// The process sent itself the signal that killed it: it gave up.
[[nodiscard]] bool IsSentByItself(const CrashRecord& record);

/// What people call the program: its comm; the file name of `exe` where that is empty, or is what comm (15
/// bytes) was cut from.
[[nodiscard]] std::string ProgramName(std::string_view comm, std::string_view exe);

/// 16 random hex digits.
[[nodiscard]] std::string NewCrashId();
/// Such ids, of which it has some ahead: getrandom(2) for each would count in a crash loop. Two processes
/// must not share one (fork(2)).
class CrashIds {
 public:
  [[nodiscard]] std::string Next();

 private:
  std::array<std::uint64_t, 32> random_{};
  std::size_t left_ = 0;
};
/// Exactly 16 lower-case hex digits.
[[nodiscard]] bool IsCrashId(std::string_view text);

}  // namespace obit
