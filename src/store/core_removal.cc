// Cores that are removed while their records stay, and how an index learns of that and of reports.

#include <span>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/limits.h"
#include "crash/report_json.h"
#include "store/access.h"
#include "store/places.h"
#include "store/reserve.h"

namespace obit {
namespace {

/// Whether the folder `path` below `dir`, of a crash, says that its core was removed. Its owner can write
/// such a note, too, and put anything in its place: a core that is there counts, and what is in the place
/// does not matter. Where the folder itself lies elsewhere, by a mount or a link, nothing was removed. Fails
/// if it cannot be told.
Result<bool> IsCoreRemovedIn(const Fd& dir, const std::string& path) {
  const auto is_mount = [](const Error& error) { return error.code == EXDEV || error.code == ELOOP; };
  const auto note = LookInside(dir, path + "/" + kRemovedFile);
  if (!note && IsAbsence(note.error())) return false;
  if (!note && !is_mount(note.error())) return std::unexpected(note.error());
  const auto core = LookInside(dir, path + "/" + kCoreFile);
  if (core) return !S_ISREG(core->st_mode);
  if (is_mount(core.error())) return false;
  if (core.error().code == ENOENT) return true;
  return std::unexpected(core.error());
}

ReportStamp StampOf(const struct stat& status) { return {status.st_ino, ModificationTime(status)}; }

}  // namespace

Result<Store::ReportHead> Store::LoadReportHead(const CrashLocation& crash) const {
  const Fd file = OBIT_TRY(OpenFile(crash, kReportFile));
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "crash {}: {}", crash.id, kReportFile);
  const ReportStamp stamp = StampOf(status);
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  std::string beginning(kReportHeadMax, '\0');
  beginning.resize(
      OBIT_TRY_IN(ReadFull(file, std::as_writable_bytes(std::span(beginning))), "crash {}", crash.id));
  auto head = ReportHeadFromJson(beginning);
  const bool is_head = head && head->id == crash.id;
  if (is_head && head->fingerprint.version >= Report::Fingerprint::kVersion)
    return ReportHead{std::move(*head), stamp, bytes};
  auto whole = LoadReport(crash);
  if (!whole && is_head && SaysThereIsNone(whole.error())) return ReportHead{std::move(*head), stamp, bytes};
  return ReportHead{OBIT_TRY(std::move(whole)), stamp, bytes};
}

Result<std::vector<std::optional<ReportStamp>>> Store::ReportStamps(
    const std::string& day, std::span<const CrashLocation> crashes) const {
  std::vector<std::optional<ReportStamp>> stamps(crashes.size(), ReportStamp());
  const auto dir = OpenDay(crashes_, day);
  if (!dir && IsNothing(dir.error())) return stamps;
  if (!dir) return std::unexpected(Error(dir.error()).In("reports of " + day));
  std::string path;
  for (std::size_t i = 0; i < crashes.size(); ++i) {
    path.assign(crashes[i].id).append("/").append(kReportFile);
    const auto status = LookInside(*dir, path);
    const int error = status ? 0 : status.error().code;
    if (status)
      stamps[i] = StampOf(*status);
    else if (IsShortage(status.error()))
      return std::unexpected(Error(status.error()).In("reports of " + day));
    else if (error != ENOENT && error != ENOTDIR && error != ELOOP && error != EXDEV)
      stamps[i].reset();
    if (!stamps[i]) continue;
    const auto removed = IsCoreRemovedIn(*dir, crashes[i].id);
    if (!removed && IsShortage(removed.error()))
      return std::unexpected(Error(removed.error()).In("removed cores of " + day));
    if (removed)
      stamps[i]->core_removed = *removed;
    else
      stamps[i].reset();
  }
  return stamps;
}

Result<bool> Store::RemoveCore(const CrashLocation& crash, const RemovedCore& removed) const {
  const std::string goal = fmt::format("remove the core of crash {}", crash.id);
  if (removed.id != crash.id) return Refuse(EINVAL, "{}: the note is of crash {}", goal, removed.id);
  const Fd day = OBIT_TRY_IN(OpenDayOf(crashes_, crash), "{}", goal);
  const Fd dir = OBIT_TRY_IN(OpenFolder(day, crash.id), "{}", goal);
  const auto note = [&]() -> Result<void> {
    if (OpenGenuine(dir, kRemovedFile)) return {};  // the first one counts
    return WriteBeside(dir, kRemovedFile, RemovedCoreToJson(removed), OwnerIn(dir));
  };
  // The note first: a core that is gone without one would look lost. But a full disk takes no note before it
  // has the room of the core, and what an owner has put in the place of the note does not keep the core.
  auto noted = note();
  const bool is_full = !noted && IsFullDisk(noted.error());
  // Whose record its owner has taken away, in vain or not wholly (obit rm that was killed), is not seen by
  // indexes any more: its core would stay for ever.
  const auto record = OpenGenuine(dir, kRecordFile);
  const bool is_gone = !record && (record.error().code == ENOENT || record.error().code == EPERM ||
                                   record.error().code == ELOOP);
  if (!noted && !is_full && !is_gone && !IsInTheWay(noted.error()))
    return std::unexpected(std::move(noted).error().In(goal));
  bool was_there = false;
  for (const char* name : {kCoreFile, kExeFile}) {
    if (::unlinkat(dir.get(), name, 0) == 0)
      was_there = true;
    else if (errno != ENOENT && errno != EISDIR)
      return Fail(errno, "{}: {}", goal, name);
  }
  if (is_gone) return Refuse(ENOENT, "{}: it has no record", goal);
  if (is_full) noted = note();
  // Only now: who sees the new time sees the note, too. Without one they see that the core is gone.
  if (::futimens(day.get(), nullptr) < 0) return Fail(errno, "{}: touch {}", goal, crash.day);
  if (is_full && !noted) return std::unexpected(std::move(noted).error().In(goal));
  return was_there;
}

Result<RemovedCore> Store::LoadRemovedCore(const CrashLocation& crash) const {
  const Fd opened = OBIT_TRY(OpenFile(crash, kRemovedFile));
  const auto file = OBIT_TRY_IN(ReadText(opened, kRemovedFile, kRemovedJsonMax), "crash {}", crash.id);
  auto removed = OBIT_TRY_IN(RemovedCoreFromJson(file.text), "crash {}: {}", crash.id, kRemovedFile);
  if (removed.id != crash.id)
    return Refuse(EBADMSG, "crash {}: its {} is of crash {}", crash.id, kRemovedFile, removed.id);
  return removed;
}

Result<bool> Store::IsCoreRemoved(const CrashLocation& crash) const {
  if (!IsLocation(crash)) return false;
  return OBIT_TRY_IN(IsCoreRemovedIn(crashes_, crash.day + "/" + crash.id), "crash {}", crash.id);
}

}  // namespace obit
