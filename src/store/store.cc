#include "store/store.h"

#include <algorithm>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file_time.h"
#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/try_twice.h"
#include "crash/commit_mark.h"
#include "crash/record_json.h"
#include "crash/regroup.h"
#include "crash/report_json.h"
#include "store/access.h"
#include "store/folder.h"
#include "store/ownership.h"
#include "store/places.h"
#include "store/removal.h"

namespace obit {
namespace {

constexpr const char* kCrashes = "crashes";
constexpr const char* kIncoming = "incoming";

/// Nothing that would be otherwise the next time.
bool IsAbsentOrClosed(const Error& error) {
  const int code = error.code;
  return code == ENOENT || code == ENOTDIR || code == ELOOP || code == EXDEV || code == EACCES ||
         code == EPERM;
}

/// What a removed crash is recognised by where its owner, who may not remove the folder, removed it: nothing
/// of obit's is in it.
bool IsRemoved(const Fd& day, const std::string& id) {
  const auto dir = OpenFolder(day, id);
  return dir ? HasNothingOfObit(*dir) : dir.error().code == ENOENT;
}

/// True if `name` below `parent` is (still) the folder `dir`. This call needs no descriptor: a shortage must
/// not look like a folder that is gone. It enters mounts: nobody but the parent's user can make any there.
bool IsAt(const Fd& dir, const Fd& parent, const std::string& name) {
  struct stat opened{}, named{};
  return ::fstat(dir.get(), &opened) == 0 &&
         ::fstatat(parent.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/// Where the folder cannot be taken away, as by the crash's owner, or with a disk too full for a new name:
/// the record first, without which there is no crash.
Result<void> RemoveInPlace(const Fd& day, const std::string& id, std::size_t most) {
  const Fd dir = OBIT_TRY(OpenFolder(day, id));
  if (::unlinkat(dir.get(), kRecordFile, 0) < 0 && errno != ENOENT && errno != EISDIR)
    return Fail(errno, "remove {}", kRecordFile);
  OBIT_TRY(EmptyCrashFolder(dir, most));
  ::unlinkat(day.get(), id.c_str(), AT_REMOVEDIR);  // whoever may
  return {};
}

/// Removes a crash at once for readers, and `most` of the entries of its folder. Errors as
/// RemoveCrashFolder().
Result<void> RemoveSome(const Fd& crashes, const Fd& incoming, const CrashLocation& crash, std::size_t most) {
  const std::string goal = "remove crash " + crash.id;
  const Fd day = OBIT_TRY_IN(OpenDayOf(crashes, crash), "{}", goal);
  std::string removed = crash.id + std::string(kRemovedSuffix);
  auto moved = incoming ? MoveFolder(day, crash.id, incoming, removed) : Refuse(EACCES, "incoming is closed");
  if (!moved && moved.error().code == EEXIST) {  // left of another of this id, or put there
    removed = fmt::format("{}-{}{}", crash.id, NewCrashId(), kRemovedSuffix);
    moved = MoveFolder(day, crash.id, incoming, removed);
  }
  if (!moved && moved.error().code == ENOENT) return std::unexpected(std::move(moved).error().In(goal));
  if (moved)
    moved = RemoveCrashFolder(incoming, removed, most);  // which says why nothing is synced before
  else
    moved = RemoveInPlace(day, crash.id, most);
  ::unlinkat(crashes.get(), crash.day.c_str(), AT_REMOVEDIR);  // only if that was its last crash
  if (!moved) return std::unexpected(std::move(moved).error().In(goal));
  return {};
}

}  // namespace

bool IsDay(std::string_view name) {
  return name.size() == 10 && name[4] == '-' && name[7] == '-' &&
         ParseTimestamp(std::string(name) + "T00:00:00Z");
}

bool IsLocation(const CrashLocation& crash) { return IsDay(crash.day) && IsCrashId(crash.id); }

Result<Store> Store::Create(const std::string& path) {
  const std::string bare = path.substr(0, path.find_last_not_of('/') + 1);  // a link with a slash is followed
  const auto make = [&] { return ::mkdir(bare.c_str(), kPublicFolder) == 0; };
  bool is_new = make();
  if (!is_new && errno == ENOENT && bare.contains('/')) {
    OBIT_TRY_IN(MakeDirectories(bare.substr(0, bare.rfind('/')), kPublicFolder), "store {}", path);
    is_new = make();
  }
  if (!is_new) OBIT_TRY_IN(MakeDirectories(path, kPublicFolder), "store {}", path);  // it says what is wrong
  // Another folder may have taken the place of the new one: its rights are not for this process to set.
  const int flags = O_RDONLY | O_DIRECTORY | (is_new ? O_NOFOLLOW : 0);
  Fd root = OBIT_TRY_IN(obit::Open(is_new ? bare : path, flags), "store {}", path);
  if (is_new && ::fchmod(root.get(), kPublicFolder) < 0)
    return Fail(errno, "store {}", path);  // whatever the umask
  OBIT_TRY_IN(MakeFolder(root, kCrashes, kPublicFolder), "store {}", path);
  OBIT_TRY_IN(MakeFolder(root, kIncoming, kPrivateFolder), "store {}", path);
  return OpenAs(std::move(root), path);
}

Result<Store> Store::Open(const std::string& path) {
  return OpenAs(OBIT_TRY_IN(obit::Open(path, O_RDONLY | O_DIRECTORY), "store {}", path), path);
}

Result<Store> Store::OpenAs(Fd root, const std::string& path) {
  Store store;
  store.path_ = path;
  store.root_ = std::move(root);
  store.crashes_ = OBIT_TRY_IN(OpenFolder(store.root_, kCrashes), "store {}", path);
  // A copy of a store may lack it, and a reader may not be allowed to open it; whoever writes finds out. What
  // fails for another reason would go well the next time: a server must not go on without it.
  auto incoming = OpenFolder(store.root_, kIncoming);
  if (incoming)
    store.incoming_ = std::move(*incoming);
  else if (!IsAbsentOrClosed(incoming.error()))
    return std::unexpected(std::move(incoming).error().In("store " + path));
  return store;
}

Result<Fd> Store::LockForServer() const {
  Fd lock = OBIT_TRY_IN(OpenFolder(root_, kIncoming), "store {}", path_);  // an open file of its own to lock
  if (!LockFolder(lock, kIncoming)) return Refuse(EBUSY, "store {}: another obitd writes to it", path_);
  return lock;
}

Result<IncomingCrash> Store::Begin(const std::string& id) const {
  OBIT_TRY_IN(MakeFolder(incoming_, id, kPrivateFolder), "begin crash {}", id);
  IncomingCrash crash{.id = id, .dir = Fd()};
  crash.dir = OBIT_TRY_IN(OpenFolder(incoming_, id), "begin crash {}", id);
  struct stat parent{}, made{};
  if (::fstat(incoming_.get(), &parent) < 0 || ::fstat(crash.dir.get(), &made) < 0)
    return Fail(errno, "begin crash {}", id);
  // The user of the store may have put a folder of somebody else in its place.
  if (made.st_uid != parent.st_uid) return Refuse(EPERM, "begin crash {}: its folder is of another user", id);
  OBIT_TRY_IN(LockFolder(crash.dir, id), "begin crash {}", id);
  return crash;
}

Result<CrashLocation> Store::Commit(const std::string& id, std::int64_t time) const {
  CrashLocation crash{FormatDay(time), id};
  if (!IsDay(crash.day)) return Refuse(EINVAL, "commit crash {}: no reader finds the day {}", id, crash.day);
  const auto move = [&]() -> Result<void> {
    OBIT_TRY(MakeFolder(crashes_, crash.day, kPublicFolder));
    const Fd day = OBIT_TRY(OpenFolder(crashes_, crash.day));
    return MoveFolder(incoming_, id, day, id);
  };
  auto moved = move();
  // Remove() takes an empty day away: it can do so between the steps, once.
  if (!moved && moved.error().code == ENOENT) moved = move();
  if (!moved) return std::unexpected(std::move(moved).error().In("commit crash " + id));
  return crash;
}

Result<void> Store::SyncDay(const std::string& day) const {
  const Fd dir = OBIT_TRY(OpenDay(crashes_, day));
  OBIT_TRY_IN(Sync(dir), "folder of {}", day);
  OBIT_TRY_IN(Sync(crashes_), "folder of crashes");  // the day itself may be new
  return {};
}

Result<void> Store::Discard(const std::string& id) const {
  OBIT_TRY_IN(RemoveCrashFolder(incoming_, id), "discard crash {}", id);
  return {};
}

Result<void> Store::ForEachAbandoned(const std::function<Result<void>(IncomingCrash)>& visit) const {
  for (const std::string& name : OBIT_TRY_IN(ListDirectory(incoming_), "incoming crashes")) {
    if (!IsCrashId(name)) continue;
    auto dir = OpenFolder(incoming_, name);
    if (!dir && IsShortage(dir.error())) return std::unexpected(std::move(dir).error());
    // What cannot be opened stays as it is: it must not keep a server from its other crashes. And its writer
    // may have committed it between the listing and the lock.
    if (dir && LockFolder(*dir, name) && IsAt(*dir, incoming_, name))
      OBIT_TRY(visit({name, std::move(*dir)}));
  }
  return {};
}

Result<std::vector<std::string>> Store::Days() const {
  auto days = OBIT_TRY_IN(ListDirectory(crashes_), "store {}", path_);
  std::erase_if(days, [](const std::string& name) { return !IsDay(name); });
  std::ranges::sort(days);
  return days;
}

Result<std::vector<CrashLocation>> Store::CrashesOf(const std::string& day) const {
  std::vector<CrashLocation> crashes;
  const auto dir = OpenDay(crashes_, day);
  if (!dir && IsNothing(dir.error())) return crashes;
  if (!dir) return std::unexpected(Error(dir.error()).In("crashes of " + day));
  for (std::string& name : OBIT_TRY_IN(ListDirectory(*dir), "crashes of {}", day))
    if (IsCrashId(name)) crashes.push_back({day, std::move(name)});
  return crashes;
}

std::int64_t Store::DayChanged(const std::string& day) const {
  if (!IsDay(day)) return 0;
  const auto status = LookInside(crashes_, day);
  return status ? ModificationTime(*status) : 0;
}

Result<Fd> Store::OpenCrash(const CrashLocation& crash) const {
  const Fd day = OBIT_TRY_IN(OpenDayOf(crashes_, crash), "crash {}", crash.id);
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
  Report report = OBIT_TRY(LoadReportAsWritten(crash));
  if (report.fingerprint.version >= Report::Fingerprint::kVersion) return report;
  const auto record = Load(crash);
  // Another try may find it, and nobody is to believe what is said meanwhile.
  if (!record && !SaysThereIsNone(record.error())) return std::unexpected(record.error());
  if (record) Regroup(report, *record);
  return report;
}

Result<Report> Store::LoadReportAsWritten(const CrashLocation& crash) const {
  const Fd opened = OBIT_TRY(OpenFile(crash, kReportFile));
  const auto file = OBIT_TRY_IN(ReadText(opened, kReportFile, kReportJsonMax), "crash {}", crash.id);
  if (file.truncated)
    return Refuse(EBADMSG, "crash {}: {} is larger than {} bytes", crash.id, kReportFile, kReportJsonMax);
  auto report = OBIT_TRY_IN(ReportFromJson(file.text), "crash {}: {}", crash.id, kReportFile);
  if (report.id != crash.id)
    return Refuse(EBADMSG, "crash {}: its {} is of crash {}", crash.id, kReportFile, report.id);
  return report;
}

Result<Fd> Store::OpenFile(const CrashLocation& crash, const std::string& name) const {
  const Fd dir = OBIT_TRY(OpenCrash(crash));
  return OBIT_TRY_IN(OpenGenuine(dir, name), "crash {}", crash.id);
}

std::string Store::PathOf(const CrashLocation& crash) const {
  return fmt::format("{}/{}/{}/{}", path_, kCrashes, crash.day, crash.id);
}

bool IsInTheWay(const Error& error) {
  const int code = error.code;
  return code == EISDIR || code == ENOTEMPTY || code == ENOTDIR || code == ELOOP || code == EXDEV;
}

namespace {

/// A folder that the crash's owner put into the place of a file stays there, and so does what is mounted
/// there. Who only finds that out at the end has made and synced a file for nothing, each time.
Result<void> RefuseFolders(const Fd& dir, const std::string& name) {
  for (const std::string& there : {name, name + ".new"}) {
    const auto status = LookInside(dir, there);
    if (status ? S_ISDIR(status->st_mode) : status.error().code == EXDEV)
      return Refuse(EISDIR, "somebody has put a folder or a mount in the place of {}", there);
  }
  return {};
}

}  // namespace

/// Puts a file into the folder of a crash, for all who may read the crash.
Result<void> Store::WriteBeside(const Fd& dir, const char* name, const std::string& text, CrashOwner owner) {
  struct stat folder{};
  if (::fstat(dir.get(), &folder) < 0) return Fail(errno, "stat");
  if (::geteuid() != 0 && ::geteuid() != folder.st_uid)
    return Refuse(EPERM, "only root and the user that the store is of write to its crashes");
  const auto record = OpenGenuine(dir, kRecordFile);
  // Its owner removed it, or put something else in its place.
  if (!record && (record.error().code == ENOENT || record.error().code == EPERM))
    return std::unexpected(record.error());
  if (!record && (record.error().code == ELOOP || record.error().code == ENXIO))
    return Refuse(EPERM, "{} is none", kRecordFile);
  OBIT_TRY(RefuseFolders(dir, name));
  const auto share = [&](const Fd& file) -> Result<void> {
    OBIT_TRY(GiveToOwner(dir, file));
    // Else it is for root only, which is better than none.
    (void)TryTwice([&] { return ShareFile(file, owner); });
    return {};
  };
  OBIT_TRY(WriteFileAtomically(dir, name, text, kPrivateFile, share));
  // Who removes a crash takes the record first, and then all that is there: that may have been before this.
  if (const auto there = LookInside(dir, kRecordFile); there || there.error().code != ENOENT) return {};
  ::unlinkat(dir.get(), name, 0);
  return Refuse(ENOENT, "it was removed");
}

Result<void> Store::WriteReport(const CrashLocation& crash, const Report& report, CrashOwner owner) const {
  const std::string goal = fmt::format("report of crash {}", crash.id);
  if (report.id != crash.id) return Refuse(EINVAL, "{}: it is of crash {}", goal, report.id);
  const std::string text = ReportToJson(report);
  if (text.size() > kReportJsonMax)
    return Refuse(EFBIG, "{}: it is larger than {} bytes", goal, kReportJsonMax);
  const Fd day = OBIT_TRY_IN(OpenDayOf(crashes_, crash), "{}", goal);
  const Fd dir = OBIT_TRY_IN(OpenFolder(day, crash.id), "{}", goal);
  // Its owner may hold it for as long as they like.
  if (auto locked = LockFolder(dir, crash.id); !locked)
    return std::unexpected(Error{locked.error().code, locked.error().what + LockHolder(dir)}.In(goal));
  OBIT_TRY_IN(WriteBeside(dir, kReportFile, text, owner), "{}", goal);
  // Only after the report can be read: who sees the new time then sees the report too.
  if (::futimens(day.get(), nullptr) < 0) return Fail(errno, "{}: touch {}", goal, crash.day);
  return {};
}

Result<void> Store::WriteRepeats(const CrashLocation& crash, const Repeats& repeats) const {
  const Fd dir = OBIT_TRY_IN(OpenCrash(crash), "repeats");
  OBIT_TRY_IN(WriteBeside(dir, kRepeatsFile, RepeatsToJson(repeats), OwnerIn(dir)), "repeats of crash {}",
              crash.id);
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
  OBIT_TRY_IN(WriteBeside(dir, kCommitFile, CommitToJson({crash.id, number}), OwnerIn(dir)),
              "commit number of crash {}", crash.id);
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
  auto removed = RemoveSome(crashes_, incoming_, crash, kRemovedAtOnce);
  if (!removed && removed.error().code == EAGAIN) removed.error().code = ENOTEMPTY;
  return removed;
}

Result<void> Store::RemoveInPassing(const CrashLocation& crash) const {
  return RemoveSome(crashes_, incoming_, crash, kRemovedInPassing);
}

bool Store::RemoveIfEmptied(const CrashLocation& crash) const {
  const auto day = OpenDayOf(crashes_, crash);
  if (!day || !IsRemoved(*day, crash.id)) return false;
  (void)RemoveSome(crashes_, incoming_, crash,
                   kRemovedInPassing);  // whoever may; for others it is as good as gone
  return true;
}

namespace {

/// Who made the mark that is there. The owner of a crash can move any file of its folder to that name, but
/// none of them is empty.
PinKind PinIn(const Fd& dir, const Fd& root) {
  const auto mark = LookInside(dir, kPinnedFile);
  struct stat store{};
  if (!mark || ::fstat(root.get(), &store) < 0)
    return PinKind::kByAdministrator;  // it is not for retention to doubt
  const bool is_ours = mark->st_uid == 0 || mark->st_uid == store.st_uid;
  return is_ours && S_ISREG(mark->st_mode) && mark->st_size == 0 && mark->st_nlink == 1
             ? PinKind::kByAdministrator
             : PinKind::kByOwner;
}

/// Whether this process is root, or the user of the store.
bool IsOurs(const Fd& root) {
  struct stat store{};
  return ::geteuid() == 0 || (::fstat(root.get(), &store) == 0 && store.st_uid == ::geteuid());
}

}  // namespace

Result<void> Store::Pin(const CrashLocation& crash, bool pinned) const {
  const std::string goal = fmt::format("{} crash {}", pinned ? "pin" : "unpin", crash.id);
  const Fd dir = OBIT_TRY_IN(OpenCrash(crash), "{}", goal);
  if (pinned) {
    const auto make = [&] { return OpenInside(dir, kPinnedFile, O_WRONLY | O_CREAT | O_EXCL, kCrashFile); };
    auto made = make();
    // The mark of its owner counts for less (PinKind): whoever may takes its place.
    if (!made && made.error().code == EEXIST && PinIn(dir, root_) == PinKind::kByOwner && IsOurs(root_)) {
      if (::unlinkat(dir.get(), kPinnedFile, 0) < 0 && errno != ENOENT &&
          (errno != EISDIR || ::unlinkat(dir.get(), kPinnedFile, AT_REMOVEDIR) < 0))
        return Fail(errno, "{}: its owner has put something there", goal);
      made = make();
    }
    if (!made && made.error().code != EEXIST) return std::unexpected(Error(made.error()).In(goal));
  } else if (::unlinkat(dir.get(), kPinnedFile, 0) < 0 && errno != ENOENT) {
    return Fail(errno, "{}", goal);
  }
  OBIT_TRY_IN(Sync(dir), "{}", goal);  // who pinned it relies on that
  return {};
}

bool Store::MayExist(const CrashLocation& crash) const {
  if (!IsLocation(crash)) return false;
  const auto record = OpenInside(crashes_, fmt::format("{}/{}/{}", crash.day, crash.id, kRecordFile), O_PATH);
  return record || record.error().code != ENOENT;
}

Store::Presence Store::PresenceOf(const CrashLocation& crash) const {
  if (!IsLocation(crash)) return {};
  const auto dir = OpenInside(crashes_, crash.day + "/" + crash.id, O_PATH | O_DIRECTORY);
  // Who cannot tell whether a crash is pinned does not remove it. A mount over it, or over the mark, is no
  // mark.
  const auto may_be_pinned = [](const Error& error) { return !IsNothing(error); };
  if (!dir) {
    const bool pinned = may_be_pinned(dir.error());
    return {.exists = dir.error().code != ENOENT,
            .pinned = pinned,
            .pin = pinned ? PinKind::kByAdministrator : PinKind::kNone};
  }
  const auto is_there = [&](const char* name, auto may_be) {
    const auto file = IsThere(*dir, name);
    return file || may_be(file.error());
  };
  const bool pinned = is_there(kPinnedFile, may_be_pinned);
  return {.exists = is_there(kRecordFile, [](const Error& error) { return error.code != ENOENT; }),
          .pinned = pinned,
          .repeated = is_there(kRepeatsFile, IsShortage),
          .pin = pinned ? PinIn(*dir, root_) : PinKind::kNone};
}

Result<CrashRecord> LoadRecord(const Fd& dir, const char* name) {
  const auto file = OBIT_TRY(ReadText(OBIT_TRY(OpenGenuine(dir, name)), name, kRecordJsonMax));
  if (file.truncated) return Refuse(EBADMSG, "{} is larger than {} bytes", name, kRecordJsonMax);
  return OBIT_TRY_IN(RecordFromJson(file.text), "{}", name);
}

}  // namespace obit
