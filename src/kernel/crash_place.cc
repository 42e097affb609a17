#include "kernel/crash_place.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "kernel/callers.h"
#include "kernel/crash_glance.h"
#include "kernel/ioctl_request.h"
#include "kernel/mappings.h"
#include "kernel/pidfd.h"
#include "kernel/proc_text.h"
#include "kernel/process_memory.h"
#include "kernel/process_thread.h"

namespace obit {
namespace {

// From include/uapi/linux/fs.h of Linux 6.11; the headers of Debian 12 do not have it.
struct ProcmapQuery {
  std::uint64_t size, flags, address;
  std::uint64_t begin, end, vma_flags, page_size, offset, inode;
  std::uint32_t device_major, device_minor, name_size, build_id_size;
  std::uint64_t name_address, build_id_address;
};
static_assert(sizeof(ProcmapQuery) == 104);
constexpr unsigned long kProcmapQuery = kQueryMapping.With<ProcmapQuery>();

constexpr std::size_t kCgroupsKnown = 256;
/// So long a program has the time of the last write that it had, ns. Whoever writes another one into the file
/// and crashes at the same place of it sooner may be counted with those before.
constexpr std::int64_t kRecent = 100'000'000;

std::string PathOf(pid_t pid, std::string_view name) { return fmt::format("{}/{}", pid, name); }

/// The kernel tells with the pc where it has loaded the program, so nothing has to be asked for what crashes
/// in its own code. What somebody has mapped over that counts as it.
std::optional<FilePlace> PlaceInProgram(const ProcessStat& stat, const FileStamp& program, std::uint64_t pc) {
  if (pc < stat.code_begin || pc >= stat.code_end) return std::nullopt;
  return FilePlace{program.inode, pc - stat.code_begin};
}

/// Nothing is looked up for it.
std::string PathOfProgram(const Fd& proc, const std::string& exe) {
  constexpr std::string_view kDeleted = " (deleted)";
  std::array<char, PATH_MAX> room;
  const ssize_t length = ::readlinkat(proc.get(), exe.c_str(), room.data(), room.size());
  std::string_view path(room.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return std::string(path);
}

/// Where others crash for the program: in a library, or by a signal that means that it gives up, for which a
/// program that has abort(3) in itself has one place too.
bool IsForOthers(bool in_program, int signal) { return !in_program || MeansGivingUp(signal); }

}  // namespace

Result<FilePlace> FilePlaceByText(const Fd& maps, std::uint64_t address) {
  const auto mappings = OBIT_TRY(ReadMappings(maps));
  const Mapping* mapping = FindMapping(mappings, address);
  if (mapping == nullptr || mapping->inode == 0) return FilePlace{};
  return FilePlace{mapping->inode, mapping->offset + (address - mapping->begin)};
}

Result<FilePlace> FilePlaceOf(const Fd& maps, std::uint64_t address) {
  ProcmapQuery query{};
  query.size = sizeof query;
  query.address = address;
  if (::ioctl(maps.get(), kProcmapQuery, &query) < 0) {
    if (errno == ENOENT) return FilePlace{};  // nothing is mapped there
    if (errno == ENOTTY) return FilePlaceByText(maps, address);
    return Fail(errno, "ask what is mapped at {:#x}", address);
  }
  if (query.inode == 0) return FilePlace{};
  return FilePlace{query.inode, query.offset + (address - query.begin)};
}

/// Nothing where there are old hierarchies alone.
std::optional<std::string> CrashPlaces::CgroupOf(const PidfdInfo& known) {
  if (known.cgroup == 0) return std::nullopt;
  if (const auto found = cgroups_.find(known.cgroup); found != cgroups_.end()) return found->second;
  const auto pidfd = OpenPidfd(known.pid);
  const auto dir = OpenAt(proc_, std::to_string(known.pid), O_RDONLY | O_DIRECTORY);
  if (!pidfd || !dir) return std::nullopt;
  auto path = UnifiedCgroup(*dir);
  // It may have been moved meanwhile, or be another: what is remembered must be right.
  const auto after = GetPidfdInfo(*pidfd);
  if (!path || !after || after->cgroup != known.cgroup) return std::nullopt;
  if (cgroups_.size() >= kCgroupsKnown) cgroups_.clear();
  return cgroups_.emplace(known.cgroup, std::move(*path)).first->second;
}

/// Nothing: it takes the long way.
std::optional<ProcessFacts> CrashPlaces::QuickFacts(const PidfdInfo& known, const ProcessStat& stat) {
  if (!stat.dumps_core() || known.pid != stat.id || !known.uid || !known.one_identity) return std::nullopt;
  if (*known.uid != 0 && MayBeCapable(stat.id)) return std::nullopt;
  auto cgroup = CgroupOf(known);
  std::array<char, 4096> room;
  const auto limits = ReadOnce(proc_, PathOf(stat.id, "limits"), room);
  if (!cgroup || !limits) return std::nullopt;
  ProcessFacts facts{.pid = stat.id, .comm = stat.comm, .cgroup = std::move(*cgroup)};
  facts.uid = facts.euid = known.uid;
  facts.one_identity = true;
  facts.capable = false;
  facts.core_limit = SoftCoreLimit(*limits);
  if (const int signal = stat.fatal_signal(); signal != 0) facts.signal = signal;
  facts.crashing = ProcessFacts::Thread{stat.id, stat.comm, stat.sp, stat.pc};
  return facts;
}

Result<FileStamp> CrashPlaces::ProgramOf(const std::string& exe) {
  struct statx file{};
  if (::statx(proc_.get(), exe.c_str(), AT_STATX_DONT_SYNC, STATX_INO | STATX_BTIME, &file) < 0)
    return Fail(errno, "statx");
  FileStamp program{.inode = file.stx_ino};
  if ((file.stx_mask & STATX_BTIME) != 0) {
    program.made = file.stx_btime.tv_sec;
    program.made_ns = file.stx_btime.tv_nsec;
  }
  // For the time of the last write cifs waits for its server (cifs_getattr), whatever it is told. What lies
  // on a block device has no server to wait for.
  if (file.stx_dev_major == 0) return program;
  const std::int64_t now = MonotonicNow();
  const FileStamp& recent = recent_.program;
  const bool is_recent = recent_.read_at != 0 && now - recent_.read_at <= kRecent &&
                         recent.inode == program.inode && recent.made == program.made &&
                         recent.made_ns == program.made_ns;
  if (is_recent) return recent;
  if (::statx(proc_.get(), exe.c_str(), AT_STATX_DONT_SYNC, STATX_MTIME, &file) < 0)
    return Fail(errno, "statx");
  program.written = file.stx_mtime.tv_sec;
  program.written_ns = file.stx_mtime.tv_nsec;
  recent_ = {program, now};
  return program;
}

Result<CrashPlace> CrashPlaces::Read(const PidfdInfo& known) {
  std::array<char, 4096> room;
  const pid_t pid = known.pid;
  const ProcessStat first = OBIT_TRY(ParseProcessStat(OBIT_TRY(ReadOnce(proc_, PathOf(pid, "stat"), room))));
  CrashPlace place;
  place.resident = first.resident * PageBytes();
  pid_t tid = pid;
  if (auto quick = QuickFacts(known, first)) {
    place.facts = std::move(*quick);
    place.glance = GlanceAt(proc_, known, first);
  } else {
    if (!first.dumps_core()) tid = FindDumpingThread(proc_, pid);
    place.facts = ReadBriefFacts(proc_, OBIT_TRY(OpenThread(proc_, pid, tid)), pid);
  }
  if (!place.facts.crashing) return Refuse(ENOENT, "no thread of {} dumps core", pid);
  const std::uint64_t pc = place.facts.crashing->pc;
  place.program = OBIT_TRY_IN(ProgramOf(PathOf(tid, "exe")), "look at the program of {}", pid);
  place.exe = PathOfProgram(proc_, PathOf(tid, "exe"));
  if (const auto own = PlaceInProgram(first, place.program, pc))
    place.pc = *own;
  else
    place.pc = OBIT_TRY(FilePlaceOf(OBIT_TRY(OpenAt(proc_, PathOf(tid, "maps"), O_RDONLY)), pc));
  const int signal = place.facts.signal.value_or(known.signal.value_or(0));
  if (first.code_begin < first.code_end && IsForOthers(pc >= first.code_begin && pc < first.code_end, signal))
    place.callers = CallersOf(proc_, tid, place.facts.crashing->sp, first.code_begin, first.code_end);
  return place;
}

}  // namespace obit
