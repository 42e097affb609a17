#include "store/store.h"

#include <algorithm>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "crash/commit_mark.h"
#include "crash/record_json.h"
#include "crash/report_json.h"
#include "store/access.h"
#include "store/ownership.h"

namespace obit {
namespace {

constexpr const char* kCrashes = "crashes";
constexpr const char* kIncoming = "incoming";
constexpr std::string_view kRemoved =
    ".removed";  // suffix in incoming/: what Remove() has taken away from readers

bool IsDay(std::string_view name) {
  return name.size() == 10 && name[4] == '-' && name[7] == '-' &&
         ParseTimestamp(std::string(name) + "T00:00:00Z");
}

Result<Fd> OpenFolder(const Fd& dir, const std::string& name) {
  return OpenAt(dir, name, O_RDONLY | O_DIRECTORY);
}

Result<void> MakeFolder(const Fd& dir, const std::string& name, mode_t mode) {
  if (::mkdirat(dir.get(), name.c_str(), mode) < 0) {
    if (errno == EEXIST) return {};
    return Fail(errno, "make folder {}", name);
  }
  const Fd folder = OBIT_TRY(OpenFolder(dir, name));
  OBIT_TRY_IN(GiveToOwner(dir, folder), "make folder {}", name);
  if (::fchmod(folder.get(), mode) < 0) return Fail(errno, "make folder {}", name);  // whatever the umask
  return {};
}

/// Folders in which everybody may look up what is theirs; names say nothing.
constexpr mode_t kPublic = 0755;
constexpr mode_t kPrivate = 0700;

/// What a removed crash is recognised by where its owner, who may not remove the folder, removed it: nothing
/// of obit's is in it.
bool IsRemoved(const Fd& day, const std::string& id) {
  const auto dir = OpenFolder(day, id);
  if (!dir) return dir.error().code == ENOENT;
  struct stat folder{};
  const auto names = ListDirectory(*dir);
  if (!names || ::fstat(dir->get(), &folder) < 0) return false;
  return std::ranges::none_of(*names, [&](const std::string& name) {
    struct stat status{};
    return ::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_uid == folder.st_uid;
  });
}

Result<void> Rename(const Fd& from, const std::string& old_name, const Fd& to, const std::string& new_name) {
  // No replacing: a crash is never overwritten by another.
  if (::renameat2(from.get(), old_name.c_str(), to.get(), new_name.c_str(), RENAME_NOREPLACE) < 0)
    return Fail(errno, "move {} to {}", old_name, new_name);
  return {};
}

/// Removes what is in a folder, whatever its owner put there, as deep as anybody would nest it by hand.
Result<void> EmptyFolder(const Fd& dir, int depth) {
  for (const std::string& name : OBIT_TRY(ListDirectory(dir))) {
    if (::unlinkat(dir.get(), name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR || depth == 0) return Fail(errno, "remove {}", name);
    OBIT_TRY(EmptyFolder(OBIT_TRY(OpenFolder(dir, name)), depth - 1));
    if (::unlinkat(dir.get(), name.c_str(), AT_REMOVEDIR) < 0) return Fail(errno, "remove {}", name);
  }
  return {};
}

/// Removes a folder with all in it; one that is gone already is fine.
Result<void> RemoveFolder(const Fd& parent, const std::string& name) {
  constexpr int kTries = 3;   // a report may come in meanwhile
  constexpr int kDepth = 16;  // of folders that are not obit's
  for (int tried = 0; tried < kTries; ++tried) {
    const auto dir = OpenFolder(parent, name);
    if (!dir && dir.error().code == ENOENT) return {};
    if (!dir) return std::unexpected(dir.error());
    OBIT_TRY_IN(EmptyFolder(*dir, kDepth), "{}", name);
    if (::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno != ENOTEMPTY) break;
  }
  return Fail(errno, "remove {}", name);
}

/// True if `name` below `parent` is (still) the folder `dir`.
bool IsAt(const Fd& dir, const Fd& parent, const std::string& name) {
  struct stat opened{}, named{};
  return ::fstat(dir.get(), &opened) == 0 &&
         ::fstatat(parent.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

bool TryLock(const Fd& fd) { return ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0; }

std::int64_t ModificationTime(const struct stat& status) {
  return status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec;
}

ReportStamp StampOf(const struct stat& status) { return {status.st_ino, ModificationTime(status)}; }

}  // namespace

Result<Store> Store::Create(const std::string& path) {
  const bool is_new = ::access(path.c_str(), F_OK) < 0;
  OBIT_TRY_IN(MakeDirectories(path, kPublic), "store {}", path);
  const Fd root = OBIT_TRY_IN(obit::Open(path, O_RDONLY | O_DIRECTORY), "store {}", path);
  if (is_new && ::fchmod(root.get(), kPublic) < 0)
    return Fail(errno, "store {}", path);  // whatever the umask
  OBIT_TRY_IN(MakeFolder(root, kCrashes, kPublic), "store {}", path);
  OBIT_TRY_IN(MakeFolder(root, kIncoming, kPrivate), "store {}", path);
  return Open(path);
}

Result<Store> Store::Open(const std::string& path) {
  Store store;
  store.path_ = path;
  store.root_ = OBIT_TRY_IN(obit::Open(path, O_RDONLY | O_DIRECTORY), "store {}", path);
  store.crashes_ = OBIT_TRY_IN(OpenFolder(store.root_, kCrashes), "store {}", path);
  // A copy of a store may lack it, and a reader may not be allowed to open it; whoever writes finds out.
  if (auto incoming = OpenFolder(store.root_, kIncoming)) store.incoming_ = std::move(*incoming);
  return store;
}

Result<Fd> Store::LockForServer() const {
  Fd lock = OBIT_TRY_IN(OpenFolder(root_, kIncoming), "store {}", path_);  // an open file of its own to lock
  if (!TryLock(lock)) return Refuse(EBUSY, "store {}: another obitd writes to it", path_);
  return lock;
}

Result<IncomingCrash> Store::Begin(const std::string& id) const {
  OBIT_TRY_IN(MakeFolder(incoming_, id, kPrivate), "begin crash {}", id);
  IncomingCrash crash{id, OBIT_TRY_IN(OpenFolder(incoming_, id), "begin crash {}", id)};
  if (!TryLock(crash.dir)) return Refuse(EBUSY, "begin crash {}: another process writes it", id);
  return crash;
}

Result<CrashLocation> Store::Commit(const std::string& id, std::int64_t time) const {
  CrashLocation crash{FormatDay(time), id};
  const auto move = [&]() -> Result<void> {
    OBIT_TRY(MakeFolder(crashes_, crash.day, kPublic));
    const Fd day = OBIT_TRY(OpenFolder(crashes_, crash.day));
    return Rename(incoming_, id, day, id);
  };
  auto moved = move();
  // Remove() takes an empty day away: it can do so between the steps, once.
  if (!moved && moved.error().code == ENOENT) moved = move();
  if (!moved) return std::unexpected(std::move(moved).error().In("commit crash " + id));
  return crash;
}

Result<void> Store::SyncDay(const std::string& day) const {
  const Fd dir = OBIT_TRY(OpenFolder(crashes_, day));
  OBIT_TRY_IN(Sync(dir), "folder of {}", day);
  OBIT_TRY_IN(Sync(crashes_), "folder of crashes");  // the day itself may be new
  return {};
}

Result<void> Store::Discard(const std::string& id) const {
  OBIT_TRY_IN(RemoveFolder(incoming_, id), "discard crash {}", id);
  return {};
}

Result<std::vector<IncomingCrash>> Store::TakeAbandoned() const {
  std::vector<IncomingCrash> abandoned;
  for (const std::string& name : OBIT_TRY_IN(ListDirectory(incoming_), "incoming crashes")) {
    // What cannot be removed or opened stays as it is: it must not keep a server from its other crashes.
    if (name.ends_with(kRemoved)) {
      (void)RemoveFolder(incoming_, name);
    } else if (IsCrashId(name)) {
      auto dir = OpenFolder(incoming_, name);
      // Its writer may have committed it between the listing and the lock.
      if (dir && TryLock(*dir) && IsAt(*dir, incoming_, name)) abandoned.push_back({name, std::move(*dir)});
    }
  }
  return abandoned;
}

Result<std::vector<std::string>> Store::Days() const {
  auto days = OBIT_TRY_IN(ListDirectory(crashes_), "store {}", path_);
  std::erase_if(days, [](const std::string& name) { return !IsDay(name); });
  std::ranges::sort(days);
  return days;
}

Result<std::vector<CrashLocation>> Store::CrashesOf(const std::string& day) const {
  std::vector<CrashLocation> crashes;
  const auto dir = OpenFolder(crashes_, day);
  if (!dir && (dir.error().code == ENOENT || dir.error().code == ENOTDIR)) return crashes;
  if (!dir) return std::unexpected(Error(dir.error()).In("crashes of " + day));
  for (std::string& name : OBIT_TRY_IN(ListDirectory(*dir), "crashes of {}", day))
    if (IsCrashId(name)) crashes.push_back({day, std::move(name)});
  return crashes;
}

std::int64_t Store::DayChanged(const std::string& day) const {
  struct stat status{};
  if (::fstatat(crashes_.get(), day.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return 0;
  return ModificationTime(status);
}

Result<Fd> Store::OpenCrash(const CrashLocation& crash) const {
  const Fd day = OBIT_TRY_IN(OpenFolder(crashes_, crash.day), "crash {}", crash.id);
  return OBIT_TRY_IN(OpenFolder(day, crash.id), "crash {}", crash.id);
}

Result<CrashRecord> Store::Load(const CrashLocation& crash) const {
  const Fd dir = OBIT_TRY(OpenCrash(crash));
  auto record = OBIT_TRY_IN(LoadRecord(dir, kRecordFile), "crash {}", crash.id);
  if (record.id != crash.id)
    return Refuse(EBADMSG, "crash {}: its {} is of crash {}", crash.id, kRecordFile, record.id);
  return record;
}

Result<Report> Store::LoadReport(const CrashLocation& crash) const {
  const Fd opened = OBIT_TRY(OpenFile(crash, kReportFile));
  const auto file = OBIT_TRY_IN(ReadText(opened, kReportFile, kReportJsonMax), "crash {}", crash.id);
  if (file.truncated)
    return Refuse(EBADMSG, "crash {}: {} is larger than {} bytes", crash.id, kReportFile, kReportJsonMax);
  auto report = OBIT_TRY_IN(ReportFromJson(file.text), "crash {}: {}", crash.id, kReportFile);
  if (report.id != crash.id)
    return Refuse(EBADMSG, "crash {}: its {} is of crash {}", crash.id, kReportFile, report.id);
  return report;
}

Result<Store::ReportHead> Store::LoadReportHead(const CrashLocation& crash) const {
  const Fd file = OBIT_TRY(OpenFile(crash, kReportFile));
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "crash {}: {}", crash.id, kReportFile);
  const ReportStamp stamp = StampOf(status);
  std::string beginning(kReportHeadMax, '\0');
  beginning.resize(
      OBIT_TRY_IN(ReadFull(file, std::as_writable_bytes(std::span(beginning))), "crash {}", crash.id));
  if (auto head = ReportHeadFromJson(beginning); head && head->id == crash.id)
    return ReportHead{std::move(*head), stamp};
  return ReportHead{OBIT_TRY(LoadReport(crash)), stamp};
}

Result<std::vector<ReportStamp>> Store::ReportStamps(const std::string& day,
                                                     std::span<const CrashLocation> crashes) const {
  std::vector<ReportStamp> stamps(crashes.size());
  const auto dir = OpenFolder(crashes_, day);
  if (!dir && dir.error().code == ENOENT) return stamps;
  if (!dir) return std::unexpected(Error(dir.error()).In("reports of " + day));
  std::string path;
  for (std::size_t i = 0; i < crashes.size(); ++i) {
    path.assign(crashes[i].id).append("/").append(kReportFile);
    struct stat status{};
    if (::fstatat(dir->get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) stamps[i] = StampOf(status);
  }
  return stamps;
}

Result<Fd> Store::OpenFile(const CrashLocation& crash, const std::string& name) const {
  const Fd dir = OBIT_TRY(OpenCrash(crash));
  return OBIT_TRY_IN(OpenGenuine(dir, name), "crash {}", crash.id);
}

std::string Store::PathOf(const CrashLocation& crash) const {
  return fmt::format("{}/{}/{}/{}", path_, kCrashes, crash.day, crash.id);
}

/// Puts a file into the folder of a crash, for all who may read the crash.
Result<void> Store::WriteBeside(const Fd& dir, const char* name, const std::string& text) {
  struct stat folder{};
  if (::fstat(dir.get(), &folder) < 0) return Fail(errno, "stat");
  if (::geteuid() != 0 && ::geteuid() != folder.st_uid)
    return Refuse(EPERM, "only root and the user that the store is of write to its crashes");
  const auto record = LoadRecord(dir, kRecordFile);
  // Its owner removed it, or put something else in its place.
  if (!record && (record.error().code == ENOENT || record.error().code == EPERM))
    return std::unexpected(record.error());
  const auto share = [&](const Fd& file) -> Result<void> {
    if (::geteuid() != folder.st_uid && ::fchown(file.get(), folder.st_uid, folder.st_gid) < 0)
      return Fail(errno, "set the owner");
    (void)OBIT_TRY(ShareFile(file, record ? OwnerOf(*record) : std::nullopt));
    return {};
  };
  OBIT_TRY(WriteFileAtomically(dir, name, text, 0600, share));
  // Who removes a crash takes the record first, and then all that is there: that may have been before this.
  if (::faccessat(dir.get(), kRecordFile, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) return {};
  ::unlinkat(dir.get(), name, 0);
  return Refuse(ENOENT, "it was removed");
}

Result<void> Store::WriteReport(const CrashLocation& crash, const Report& report) const {
  const std::string goal = fmt::format("report of crash {}", crash.id);
  if (report.id != crash.id) return Refuse(EINVAL, "{}: it is of crash {}", goal, report.id);
  const std::string text = ReportToJson(report);
  if (text.size() > kReportJsonMax)
    return Refuse(EFBIG, "{}: it is larger than {} bytes", goal, kReportJsonMax);
  const Fd day = OBIT_TRY_IN(OpenFolder(crashes_, crash.day), "{}", goal);
  const Fd dir = OBIT_TRY_IN(OpenFolder(day, crash.id), "{}", goal);
  if (!TryLock(dir)) return Refuse(EBUSY, "{}: another process writes it", goal);
  OBIT_TRY_IN(WriteBeside(dir, kReportFile, text), "{}", goal);
  // Only after the report can be read: who sees the new time then sees the report too.
  if (::futimens(day.get(), nullptr) < 0) return Fail(errno, "{}: touch {}", goal, crash.day);
  return {};
}

Result<void> Store::WriteRepeats(const CrashLocation& crash, const Repeats& repeats) const {
  const Fd dir = OBIT_TRY_IN(OpenCrash(crash), "repeats");
  OBIT_TRY_IN(WriteBeside(dir, kRepeatsFile, RepeatsToJson(repeats)), "repeats of crash {}", crash.id);
  return {};
}

Result<Repeats> Store::LoadRepeats(const CrashLocation& crash) const {
  const Fd opened = OBIT_TRY(OpenFile(crash, kRepeatsFile));
  const auto file = OBIT_TRY_IN(ReadText(opened, kRepeatsFile, kRepeatsJsonMax), "crash {}", crash.id);
  auto repeats = OBIT_TRY_IN(RepeatsFromJson(file.text), "crash {}: {}", crash.id, kRepeatsFile);
  if (repeats.id != crash.id)
    return Refuse(EBADMSG, "crash {}: its {} is of crash {}", crash.id, kRepeatsFile, repeats.id);
  return repeats;
}

Result<void> Store::WriteCommitNumber(const CrashLocation& crash, std::uint64_t number) const {
  const Fd dir = OBIT_TRY_IN(OpenCrash(crash), "commit number");
  OBIT_TRY_IN(WriteBeside(dir, kCommitFile, CommitToJson({crash.id, number})), "commit number of crash {}",
              crash.id);
  return {};
}

Result<std::uint64_t> Store::LoadCommitNumber(const CrashLocation& crash) const {
  const Fd opened = OBIT_TRY(OpenFile(crash, kCommitFile));
  const auto file = OBIT_TRY_IN(ReadText(opened, kCommitFile, kCommitJsonMax), "crash {}", crash.id);
  const auto mark = OBIT_TRY_IN(CommitFromJson(file.text), "crash {}: {}", crash.id, kCommitFile);
  if (mark.id != crash.id)
    return Refuse(EBADMSG, "crash {}: its {} is of crash {}", crash.id, kCommitFile, mark.id);
  return mark.number;
}

Result<void> Store::Remove(const CrashLocation& crash) const {
  const Fd day = OBIT_TRY_IN(OpenFolder(crashes_, crash.day), "remove crash {}", crash.id);
  const std::string removed = crash.id + std::string(kRemoved);
  auto moved = incoming_ ? Rename(day, crash.id, incoming_, removed) : Refuse(EACCES, "incoming is closed");
  if (!moved && (moved.error().code == EACCES || moved.error().code == EPERM))
    return RemoveAsOwner(day, crash.id);
  if (!moved) return std::unexpected(std::move(moved).error().In("remove crash " + crash.id));
  OBIT_TRY_IN(RemoveFolder(incoming_, removed), "remove crash {}", crash.id);
  ::unlinkat(crashes_.get(), crash.day.c_str(), AT_REMOVEDIR);  // only if that was its last crash
  return {};
}

/// By one who may not take the folder away: what is in it, the record first, without which there is no crash.
Result<void> Store::RemoveAsOwner(const Fd& day, const std::string& id) {
  const Fd dir = OBIT_TRY_IN(OpenFolder(day, id), "remove crash {}", id);
  if (::unlinkat(dir.get(), kRecordFile, 0) < 0 && errno != ENOENT) return Fail(errno, "remove crash {}", id);
  OBIT_TRY_IN(EmptyFolder(dir, 0), "remove crash {}", id);
  return {};
}

bool Store::RemoveIfEmptied(const CrashLocation& crash) const {
  const auto day = OpenFolder(crashes_, crash.day);
  if (!day || !IsRemoved(*day, crash.id)) return false;
  (void)Remove(crash);  // whoever may; for others it is as good as gone
  return true;
}

Result<void> Store::Pin(const CrashLocation& crash, bool pinned) const {
  const std::string goal = fmt::format("{} crash {}", pinned ? "pin" : "unpin", crash.id);
  const Fd dir = OBIT_TRY_IN(OpenCrash(crash), "{}", goal);
  if (!pinned) {
    if (::unlinkat(dir.get(), kPinnedFile, 0) < 0 && errno != ENOENT) return Fail(errno, "{}", goal);
    return {};
  }
  const auto made = OpenAt(dir, kPinnedFile, O_WRONLY | O_CREAT | O_EXCL, 0640);
  if (!made && made.error().code != EEXIST) return std::unexpected(Error(made.error()).In(goal));
  return {};
}

Store::Presence Store::PresenceOf(const CrashLocation& crash) const {
  const std::string folder = fmt::format("{}/{}/", crash.day, crash.id);
  struct stat status{};
  const auto there = [&](const char* name) {
    return ::fstatat(crashes_.get(), (folder + name).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  };
  return {.exists = there(kRecordFile) || errno != ENOENT,
          .pinned = there(kPinnedFile),
          .repeated = there(kRepeatsFile)};
}

Result<CrashRecord> LoadRecord(const Fd& dir, const char* name) {
  const auto file = OBIT_TRY(ReadText(OBIT_TRY(OpenGenuine(dir, name)), name, kRecordJsonMax));
  if (file.truncated) return Refuse(EBADMSG, "{} is larger than {} bytes", name, kRecordJsonMax);
  return OBIT_TRY_IN(RecordFromJson(file.text), "{}", name);
}

}  // namespace obit
