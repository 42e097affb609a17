#include "kernel/process.h"

#include <cstdlib>
#include <cstring>

#include <elf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kSmallFile = 16 * 1024;    // stat, status, limits, cgroup
constexpr std::size_t kThreadsLookedAt = 65536;  // for the one that crashed

std::string SmallFile(const Fd& dir, const std::string& name) {
  auto file = ReadFileAt(dir, name, kSmallFile);
  return file ? std::move(file->text) : std::string();
}

/// The value of "Name:\tVALUE" in a status file.
std::optional<std::string_view> StatusField(std::string_view status, std::string_view name) {
  for (const std::string_view line : Split(status, '\n'))
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
      return Trim(line.substr(name.size() + 1));
  return std::nullopt;
}

/// The `index`-th (negative: from the end) number of a status field such as "Uid:\t0\t0\t0\t0".
std::optional<std::uint64_t> StatusNumber(std::string_view status, std::string_view name, int index) {
  const auto field = StatusField(status, name);
  if (!field) return std::nullopt;
  std::vector<std::uint64_t> numbers;
  for (std::string_view word : Split(*field, '\t'))
    if (const auto number = ParseUnsigned(word.substr(0, word.find(' ')))) numbers.push_back(*number);
  const auto at = index < 0 ? static_cast<int>(numbers.size()) + index : index;
  if (at < 0 || at >= static_cast<int>(numbers.size())) return std::nullopt;
  return numbers[static_cast<std::size_t>(at)];
}

template <class To>
std::optional<To> As(std::optional<std::uint64_t> number) {
  return number ? std::optional<To>(static_cast<To>(*number)) : std::nullopt;
}

std::optional<std::uint64_t> SoftCoreLimit(std::string_view limits) {
  constexpr std::string_view kName = "Max core file size";
  const std::size_t at = limits.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = Trim(limits.substr(at + kName.size()));
  const std::string_view soft = rest.substr(0, rest.find(' '));
  return soft == "unlimited" ? std::optional<std::uint64_t>(UINT64_MAX) : ParseUnsigned(soft);
}

/// The unified hierarchy's path, else that of the first one ("name=systemd" on old hosts).
std::string CgroupPath(std::string_view text) {
  std::string found;
  for (const std::string_view line : Split(text, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    if (line.starts_with("0::")) return std::string(line.substr(3));
    if (found.empty() || line.substr(first + 1, second - first - 1) == "name=systemd")
      found = line.substr(second + 1);
  }
  return found;
}

std::string Link(const Fd& dir, const char* name) {
  auto target = ReadLinkAt(dir, name);
  return target ? std::move(*target) : std::string();
}

void ReadExecutable(const Fd& dir, ProcessFacts& facts) {
  facts.exe = Link(dir, "exe");
  struct statx running{};
  const bool unlinked =
      ::statx(dir.get(), "exe", AT_STATX_DONT_SYNC, STATX_NLINK, &running) == 0 && running.stx_nlink == 0;
  constexpr std::string_view kDeleted = " (deleted)";  // d_path(): appended to the name of an unlinked file
  if (unlinked && facts.exe.ends_with(kDeleted)) {
    facts.exe.resize(facts.exe.size() - kDeleted.size());
    facts.exe_deleted = true;
  }
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

/// All four numbers of a "Uid" or "Gid" line are the same.
std::optional<bool> HasOneId(std::string_view status, std::string_view name) {
  const auto first = StatusNumber(status, name, 0);
  if (!first) return std::nullopt;
  for (const int index : {1, 2, 3})
    if (StatusNumber(status, name, index) != first) return false;
  return true;
}

/// Capabilities in a user namespace below the caller's are no rights here: every user gets them by
/// unshare(2).
std::optional<bool> IsCapableHere(const Fd& proc, std::string_view status, std::string_view user_namespace) {
  const auto permitted = StatusField(status, "CapPrm");
  if (!permitted) return std::nullopt;
  const auto own = ReadLinkAt(proc, "self/ns/user");
  if (own && !user_namespace.empty() && user_namespace != *own) return false;
  return IsCapable(*permitted);
}

}  // namespace

std::optional<bool> IsCapable(std::string_view permitted) {
  const auto set = ParseUnsigned(permitted, 16);
  if (!set) return std::nullopt;
  // systemd gives it to every local login since version 254. It wakes the machine, and shows nothing.
  constexpr std::uint64_t kOfLogins = std::uint64_t{1} << CAP_WAKE_ALARM;
  return (*set & ~kOfLogins) != 0;
}

std::optional<bool> SecureOfAuxv(std::string_view auxv) {
  if (const auto secure = SecureByWords<std::uint64_t>(auxv)) return secure;
  return SecureByWords<std::uint32_t>(auxv);
}

Result<ProcessStat> ParseProcessStat(std::string_view line) {
  const std::size_t open = line.find('('), close = line.rfind(')');  // comm may hold both, and spaces
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return Refuse(EBADMSG, "not a /proc stat line");
  const auto fields = Split(Trim(line.substr(close + 1)), ' ');  // the first is field 3, "state"
  const auto number = [&](std::size_t field) -> std::optional<std::uint64_t> {
    return field - 3 < fields.size() ? ParseUnsigned(fields[field - 3]) : std::nullopt;
  };
  const auto id = ParseUnsigned(Trim(line.substr(0, open)));
  const auto parent = number(4), flags = number(9), start = number(22), sp = number(29), pc = number(30);
  const auto exit_code = number(52);  // the last one, since Linux 3.5: without it the line is cut
  if (!id || !parent || !flags || !start || !sp || !pc || !exit_code)
    return Refuse(EBADMSG, "not a /proc stat line");
  ProcessStat stat;
  stat.id = static_cast<pid_t>(*id);
  stat.comm = line.substr(open + 1, close - open - 1);
  stat.parent = static_cast<pid_t>(*parent);
  stat.flags = *flags;
  stat.start_ticks = *start;
  stat.sp = *sp;
  stat.pc = *pc;
  stat.exit_code = static_cast<int>(*exit_code);
  return stat;
}

Result<ProcessStat> ReadProcessStat(const Fd& dir, const std::string& name) {
  return ParseProcessStat(OBIT_TRY(ReadFileAt(dir, name, kSmallFile)).text);
}

std::optional<ProcessStat> FindDumpingThread(const Fd& dir) {
  const auto tasks = OpenAt(dir, "task", O_RDONLY | O_DIRECTORY);
  if (!tasks) return std::nullopt;
  const auto names = ListDirectory(*tasks);
  if (!names) return std::nullopt;
  std::size_t looked_at = 0;
  for (const std::string& tid : *names) {
    if (++looked_at > kThreadsLookedAt) return std::nullopt;
    auto stat = ReadProcessStat(*tasks, tid + "/stat");
    if (stat && (stat->flags & ProcessStat::kDumpCore) != 0) return std::move(*stat);
  }
  return std::nullopt;
}

std::int64_t SinceBoot(std::uint64_t start_ticks) {
  static const std::int64_t per_tick = 1'000'000'000LL / ::sysconf(_SC_CLK_TCK);
  return static_cast<std::int64_t>(start_ticks) * per_tick;
}

ProcessFacts ReadBriefFacts(const Fd& proc, const Fd& dir, pid_t pid) {
  ProcessFacts facts;
  facts.pid = pid;
  if (const auto stat = ReadProcessStat(dir, "stat")) {
    facts.parent = stat->parent;
    facts.comm = stat->comm;
    facts.started = RealtimeNow() - BoottimeNow() + SinceBoot(stat->start_ticks);
    // A dumping group has group_exit_code set to the fatal signal before any server is asked.
    if (const int signal = stat->exit_code & 0x7f; signal != 0) facts.signal = signal;
  }
  const std::string status = SmallFile(dir, "status");
  facts.uid = As<uid_t>(StatusNumber(status, "Uid", 0));
  facts.euid = As<uid_t>(StatusNumber(status, "Uid", 1));
  facts.gid = As<gid_t>(StatusNumber(status, "Gid", 0));
  facts.egid = As<gid_t>(StatusNumber(status, "Gid", 1));
  const auto one_uid = HasOneId(status, "Uid"), one_gid = HasOneId(status, "Gid");
  if (one_uid && one_gid) facts.one_identity = *one_uid && *one_gid;
  facts.secure = SecureOfAuxv(SmallFile(dir, "auxv"));
  facts.threads = StatusNumber(status, "Threads", 0);
  facts.own_pid = As<pid_t>(StatusNumber(status, "NStgid", -1));
  const auto kib = [&](std::string_view name) -> std::optional<std::uint64_t> {
    const auto number = StatusNumber(status, name, 0);
    return number && *number < UINT64_MAX / 1024 ? std::optional(*number * 1024) : std::nullopt;
  };
  facts.virtual_bytes = kib("VmSize");
  facts.resident_bytes = kib("VmRSS");
  facts.core_limit = SoftCoreLimit(SmallFile(dir, "limits"));
  facts.cgroup = CgroupPath(SmallFile(dir, "cgroup"));
  facts.user_namespace = Link(dir, "ns/user");
  facts.capable = IsCapableHere(proc, status, facts.user_namespace);
  return facts;
}

ProcessFacts ReadProcessFacts(const Fd& proc, pid_t pid) {
  const auto opened = OpenAt(proc, std::to_string(pid), O_RDONLY | O_DIRECTORY);
  if (!opened) return {.pid = pid};
  const Fd& dir = *opened;
  ProcessFacts facts = ReadBriefFacts(proc, dir, pid);
  facts.cwd = Link(dir, "cwd");
  facts.root = Link(dir, "root");
  facts.pid_namespace = Link(dir, "ns/pid");
  facts.mount_namespace = Link(dir, "ns/mnt");
  facts.network_namespace = Link(dir, "ns/net");
  ReadExecutable(dir, facts);
  ReadCmdline(dir, facts);
  if (auto thread = FindDumpingThread(dir))
    facts.crashing = ProcessFacts::Thread{thread->id, std::move(thread->comm), thread->sp, thread->pc};
  return facts;
}

Result<Fd> OpenExecutable(const Fd& proc, pid_t pid) {
  // /proc/PID/exe is a magic link, so O_NOFOLLOW of OpenAt() does not fit.
  const int fd = ::openat(proc.get(), (std::to_string(pid) + "/exe").c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return Fail(errno, "open the executable of {}", pid);
  return Fd(fd);
}

bool IsReachable(const Fd& proc, pid_t pid, const std::string& path, const Fd& opened) {
  struct statx running{};
  constexpr int kFlags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (!path.starts_with('/') || ::statx(opened.get(), "", kFlags, STATX_INO | STATX_NLINK, &running) < 0 ||
      running.stx_nlink == 0)
    return false;
  const std::string dir = std::to_string(pid);
  const auto link = [&](const std::string& name) { return ReadLinkAt(proc, name).value_or(""); };
  // Of one namespace and one root the kernel's name for it is the name.
  const std::string own = link(dir + "/ns/mnt"), first = link("1/ns/mnt");
  if (!own.empty() && own == (first.empty() ? link("self/ns/mnt") : first) && link(dir + "/root") == "/")
    return true;
  // This process may see other folders there: a service can have a /tmp of its own.
  Fd root(::openat(proc.get(), "1/root", O_PATH | O_CLOEXEC));
  if (!root) root = Fd(::open("/", O_PATH | O_CLOEXEC));
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED;
  const Fd named(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  if (!named) return errno == EACCES;
  struct statx there{};
  return ::statx(named.get(), "", kFlags, STATX_INO, &there) == 0 && there.stx_ino == running.stx_ino &&
         there.stx_dev_major == running.stx_dev_major && there.stx_dev_minor == running.stx_dev_minor;
}

}  // namespace obit
