#include "kernel/process.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <elf.h>
#include <linux/capability.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "kernel/cgroup_lines.h"
#include "kernel/executable.h"
#include "kernel/process_stat.h"

namespace obit {
namespace {

constexpr std::size_t kSmallFile = 16 * 1024;  // auxv, limits: of a fixed length, far below
constexpr std::size_t kCgroupMax =
    256 * 1024;  // a line has at most PATH_MAX bytes, and each old hierarchy has one

/// The lines of a file that is read up to `max` bytes: what the cut left of the last one would say something
/// else.
FileText WholeLines(const Fd& dir, const std::string& name, std::size_t max) {
  FileText file = ReadFileAt(dir, name, max).value_or(FileText());
  if (file.truncated) file.text.resize(file.text.rfind('\n') + 1);
  return file;
}

/// A status file (proc_pid_status(5)).
class StatusFile {
 public:
  StatusFile(const Fd& dir, const std::string& name) : text_(WholeLines(dir, name, kStatusMax).text) {
    for (const std::string_view line : Split(text_, '\n'))
      if (const std::size_t colon = line.find(':'); colon != std::string_view::npos)
        fields_.emplace_back(line.substr(0, colon), Trim(line.substr(colon + 1)));
  }
  StatusFile(StatusFile&&) = delete;

  [[nodiscard]] std::optional<std::string_view> Field(std::string_view name) const {
    for (const auto& [found, value] : fields_)
      if (found == name) return value;
    return std::nullopt;
  }

  /// The `index`-th (negative: from the end) number of a field such as "Uid:\t0\t0\t0\t0".
  [[nodiscard]] std::optional<std::uint64_t> Number(std::string_view name, int index) const {
    const auto field = Field(name);
    if (!field) return std::nullopt;
    std::vector<std::uint64_t> numbers;
    for (const std::string_view word : Split(*field, '\t'))
      if (const auto number = ParseUnsigned(word.substr(0, word.find(' ')))) numbers.push_back(*number);
    const auto at = index < 0 ? static_cast<int>(numbers.size()) + index : index;
    if (at < 0 || at >= static_cast<int>(numbers.size())) return std::nullopt;
    return numbers[static_cast<std::size_t>(at)];
  }

  /// All four numbers of "Uid" or "Gid" are the same.
  [[nodiscard]] std::optional<bool> HasOneId(std::string_view name) const {
    const auto first = Number(name, 0);
    if (!first) return std::nullopt;
    return std::ranges::all_of(std::array{1, 2, 3}, [&](int index) { return Number(name, index) == first; });
  }

 private:
  std::string text_;
  std::vector<std::pair<std::string_view, std::string_view>> fields_;
};

template <class To>
std::optional<To> As(std::optional<std::uint64_t> number) {
  return number ? std::optional<To>(static_cast<To>(*number)) : std::nullopt;
}

struct Cgroup {
  std::string path;
  bool unified = false, truncated = false;
};

/// The unified hierarchy's, else that of the first one ("name=systemd" on old hosts).
Cgroup CgroupIn(const FileText& file) {
  std::string_view found, of_systemd;
  for (const CgroupLine& line : ParseCgroupLines(file.text)) {
    if (line.controllers.empty()) return {.path = std::string(line.path), .unified = true};
    if (found.empty()) found = line.path;
    if (line.controllers == "name=systemd") of_systemd = line.path;
  }
  // The one that counts may stand behind the cut.
  if (file.truncated) return {.truncated = true};
  return {.path = std::string(of_systemd.empty() ? found : of_systemd)};
}

void ReadCgroup(const Fd& dir, ProcessFacts& facts) {
  Cgroup cgroup = CgroupIn(WholeLines(dir, "cgroup", kCgroupMax));
  facts.cgroup = std::move(cgroup.path);
  if (cgroup.truncated) facts.too_long.emplace_back("cgroup");
}

/// The target of a link below `dir`, or nothing.
std::string Link(const Fd& dir, const char* name) { return ReadLinkAt(dir, name).value_or(""); }

/// The same of a path, which may be longer than the kernel tells.
void ReadPath(const Fd& dir, const char* name, std::string& path, ProcessFacts& facts) {
  auto target = ReadLinkAt(dir, name);
  if (target)
    path = std::move(*target);
  else if (target.error().code == ENAMETOOLONG)
    facts.too_long.emplace_back(name);
}

void ReadCmdline(const Fd& dir, ProcessFacts& facts) {
  auto file = ReadFileAt(dir, "cmdline", kCmdlineMax);
  if (!file) return;
  facts.cmdline_truncated = file->truncated;
  std::string_view text = file->text;
  if (text.empty()) return;  // a kernel thread, or argv is empty
  if (text.ends_with('\0')) text.remove_suffix(1);
  for (const std::string_view argument : Split(text, '\0')) facts.cmdline.emplace_back(argument);
}

template <class Word>
std::optional<bool> SecureByWords(std::string_view auxv) {
  std::optional<bool> secure;
  bool plausible = false;  // words of the other size look like nothing
  for (; auxv.size() >= 2 * sizeof(Word); auxv.remove_prefix(2 * sizeof(Word))) {
    Word pair[2];
    std::memcpy(pair, auxv.data(), sizeof pair);
    if (pair[0] == AT_PAGESZ) plausible = true;
    if (pair[0] == AT_SECURE) secure = pair[1] != 0;
  }
  return plausible ? secure : std::nullopt;
}

/// Capabilities in a user namespace below the caller's are no rights here: every user gets them by
/// unshare(2).
std::optional<bool> IsCapableHere(const Fd& proc, const StatusFile& status, std::string_view user_namespace) {
  const auto permitted = status.Field("CapPrm");
  if (!permitted) return std::nullopt;
  const auto own = ReadLinkAt(proc, "self/ns/user");
  if (own && !user_namespace.empty() && user_namespace != *own) return false;
  return IsCapable(*permitted);
}

/// Both, if both are known.
std::optional<bool> And(std::optional<bool> one, std::optional<bool> other) {
  return one && other ? std::optional(*one && *other) : std::nullopt;
}

void ReadCredentials(const Fd& proc, const StatusFile& status, ProcessFacts& facts) {
  facts.uid = As<uid_t>(status.Number("Uid", 0));
  facts.euid = As<uid_t>(status.Number("Uid", 1));
  facts.gid = As<gid_t>(status.Number("Gid", 0));
  facts.egid = As<gid_t>(status.Number("Gid", 1));
  facts.one_identity = And(status.HasOneId("Uid"), status.HasOneId("Gid"));
  facts.capable = IsCapableHere(proc, status, facts.user_namespace);
}

/// Each thread has credentials of its own (setresuid(2) as a system call). What the first one had counts too.
void AddCredentialsOfFirst(const Fd& proc, ProcessFacts& facts) {
  const StatusFile status(proc, std::to_string(facts.pid) + "/status");
  ProcessFacts first;
  first.user_namespace = facts.user_namespace;
  ReadCredentials(proc, status, first);
  facts.one_identity =
      And(And(facts.one_identity, first.one_identity), facts.uid == first.uid && facts.gid == first.gid);
  const bool either = facts.capable.value_or(false) || first.capable.value_or(false);
  if (either || !first.capable) facts.capable = either ? std::optional(true) : std::nullopt;
}

}  // namespace

bool IsCapable(std::uint64_t permitted) {
  // systemd gives it to every local login since version 254. It wakes the machine, and shows nothing.
  constexpr std::uint64_t kOfLogins = std::uint64_t{1} << CAP_WAKE_ALARM;
  return (permitted & ~kOfLogins) != 0;
}

std::optional<bool> IsCapable(std::string_view permitted) {
  const auto set = ParseUnsigned(permitted, 16);
  return set ? std::optional(IsCapable(*set)) : std::nullopt;
}

std::optional<std::string> UnifiedCgroup(const Fd& dir) {
  Cgroup cgroup = CgroupIn(WholeLines(dir, "cgroup", kCgroupMax));
  return cgroup.unified ? std::optional(std::move(cgroup.path)) : std::nullopt;
}

std::optional<std::uint64_t> SoftCoreLimit(std::string_view limits) {
  constexpr std::string_view kName = "Max core file size";
  const std::size_t at = limits.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = Trim(limits.substr(at + kName.size()));
  const std::string_view soft = rest.substr(0, rest.find(' '));
  return soft == "unlimited" ? std::optional<std::uint64_t>(UINT64_MAX) : ParseUnsigned(soft);
}

std::optional<bool> SecureOfAuxv(std::string_view auxv) {
  if (const auto secure = SecureByWords<std::uint64_t>(auxv)) return secure;
  return SecureByWords<std::uint32_t>(auxv);
}

ProcessFacts ReadBriefFacts(const Fd& proc, const Fd& dir, pid_t pid) {
  ProcessFacts facts;
  facts.pid = pid;
  auto stat = ReadProcessStat(dir, "stat");
  if (stat) {
    facts.parent = stat->parent;
    if (const int signal = stat->fatal_signal(); signal != 0) facts.signal = signal;
    if (stat->dumps_core()) facts.crashing = ProcessFacts::Thread{stat->id, stat->comm, stat->sp, stat->pc};
  }
  const bool is_first = !stat || stat->id == pid;
  // The name and the age of a process are those of its first thread, which may be a zombie.
  if (!is_first) stat = ReadProcessStat(proc, std::to_string(pid) + "/stat");
  if (stat) {
    facts.comm = stat->comm;
    facts.started_since_boot = SinceBoot(stat->start_ticks);
    facts.started = RealtimeNow() - BoottimeNow() + *facts.started_since_boot;
  }
  const StatusFile status(dir, "status");
  facts.user_namespace = Link(dir, "ns/user");
  ReadCredentials(proc, status, facts);
  if (!is_first) AddCredentialsOfFirst(proc, facts);
  facts.secure = SecureOfAuxv(ReadFileAt(dir, "auxv", kSmallFile).value_or(FileText()).text);
  facts.threads = status.Number("Threads", 0);
  facts.own_pid = As<pid_t>(status.Number("NStgid", -1));
  const auto kib = [&](std::string_view name) -> std::optional<std::uint64_t> {
    const auto number = status.Number(name, 0);
    return number && *number < UINT64_MAX / 1024 ? std::optional(*number * 1024) : std::nullopt;
  };
  facts.virtual_bytes = kib("VmSize");
  facts.resident_bytes = kib("VmRSS");
  facts.core_limit = SoftCoreLimit(WholeLines(dir, "limits", kSmallFile).text);
  ReadCgroup(dir, facts);
  return facts;
}

// Why none of these waits (fs/proc/, Linux 6.1 to 6.18):
// * stat, status, limits: task and signal spin locks, RCU; sizes are counters of the mm, read without its
//   lock. The reference to the mm that they hold is not the last one while the process dumps.
// * auxv: opening takes signal->exec_update_lock (mm_access()), which only exec takes for writing, and a
//   process that dumps executes nothing; the words are kept in the mm itself (saved_auxv), not in user
//   memory.
// * cgroup: css_set_lock, a spin lock; before 6.8 also cgroup_mutex, which waits for no process.
// * cwd, root: fs->lock, a spin lock, and d_path() of what is in memory: it asks no file system.
// * exe: task_lock and RCU, then d_path().
// * ns/*: task_lock.
// Each checks for the right to look (ptrace_may_access()), which takes spin locks.
// Against that, cmdline takes the mmap lock and faults pages in (access_remote_vm()), and maps takes the mmap
// lock: who has it may wait for a page of FUSE. A walk through exe, cwd or root, other than readlink(2), may
// ask a file system on a network whether it still knows the file (d_weak_revalidate).
ProcessFacts ReadSafeFacts(const Fd& proc, const Fd& dir, pid_t pid) {
  ProcessFacts facts = ReadBriefFacts(proc, dir, pid);
  ReadPath(dir, "cwd", facts.cwd, facts);
  ReadPath(dir, "root", facts.root, facts);
  facts.pid_namespace = Link(dir, "ns/pid");
  facts.mount_namespace = Link(dir, "ns/mnt");
  facts.network_namespace = Link(dir, "ns/net");
  ExecutableName name = ReadExecutableLink(dir);
  facts.exe = std::move(name.path);
  facts.exe_deleted = name.deleted;
  if (name.too_long) facts.too_long.emplace_back("exe");
  return facts;
}

void ReadRiskyFacts(const Fd& proc, const Fd& dir, ProcessFacts& facts) {
  if (facts.exe_deleted) {
    ExecutableName name = ReadExecutableName(proc, dir);
    facts.exe = std::move(name.path);
    facts.exe_deleted = name.deleted;
  }
  ReadCmdline(dir, facts);
}

}  // namespace obit
