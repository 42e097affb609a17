#include "catalog/kept.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file_time.h"
#include "base/inside.h"
#include "base/text.h"
#include "crash/report_json.h"
#include "store/access.h"

namespace obit {
namespace {

/// What crash.json, commit.json and the folder take, and the least that anything takes.
constexpr std::uint64_t kBlock = 4096, kRecordBytes = 3 * kBlock;

/// An index that claims a larger report is not believed unlooked.
constexpr std::uint64_t kReportUnlooked = 64 << 10;

std::uint64_t Blocks(std::uint64_t bytes) {
  const std::uint64_t most = std::min<std::uint64_t>(bytes, kReportJsonMax);
  return (most + kBlock - 1) / kBlock * kBlock;
}

/// Bytes of a file of a crash on the disk; 0 without one. Nothing: it cannot be told.
std::optional<std::uint64_t> BytesOf(const Store& store, const CrashLocation& crash, const char* name) {
  struct stat status{};
  const auto file = store.OpenFile(crash, name);
  if (!file) return file.error().code == ENOENT ? std::optional<std::uint64_t>(0) : std::nullopt;
  if (::fstat(file->get(), &status) < 0) return std::nullopt;
  // Blocks may come late, and holes have none.
  return static_cast<std::uint64_t>(std::max(status.st_size, status.st_blocks * 512));
}

/// When the files came that obit writes once, ns since 1970; 0: it cannot be told.
std::int64_t ArrivalOf(const Store& store, const CrashLocation& crash) {
  std::int64_t arrived = 0;
  struct stat folder{};
  if (::fstat(store.root().get(), &folder) < 0) return 0;
  for (const char* name : {kRecordFile, kCommitFile}) {
    const auto file = LookInside(store.root(), fmt::format("crashes/{}/{}/{}", crash.day, crash.id, name));
    if (file && S_ISREG(file->st_mode) && file->st_uid == folder.st_uid)
      arrived = std::max(arrived, NanosecondsOf(file->st_mtim));
  }
  return arrived;
}

/// The last moment of a day: what came on it is not older than that. 0: it is no day.
std::int64_t EndOf(const std::string& day) {
  constexpr std::int64_t kDay = 86'400'000'000'000;
  const auto begin = ParseTimestamp(day + "T00:00:00Z");
  return begin ? std::min(*begin, INT64_MAX - kDay) + kDay - 1 : 0;
}

std::uint64_t ShareOf(std::optional<uid_t> uid) { return uid ? std::uint64_t{*uid} + 1 : 0; }

/// Whether something has come into the folder of a crash, or gone, an hour ago at most, or that cannot be
/// told: somebody may be copying it into the store, and its record be the last to come.
bool HasJustChanged(const Store& store, const CrashLocation& crash) {
  constexpr std::int64_t kHour = 3'600'000'000'000;
  const auto folder = LookInside(store.root(), fmt::format("crashes/{}/{}", crash.day, crash.id));
  return !folder || RealtimeNow() - NanosecondsOf(folder->st_ctim) < kHour;
}

std::uint64_t Hash(std::string_view text) { return std::hash<std::string_view>()(text); }

}  // namespace

KeptCrash KeptOf(const CrashSummary& crash) {
  const std::uint64_t user = ShareOf(crash.uid);
  const std::string_view program = crash.exe.empty() ? std::string_view(crash.comm) : FileNameOf(crash.exe);
  return {.id = ParseUnsigned(crash.location.id, 16).value_or(0),
          .number = crash.number,
          .time = crash.time,
          .group = crash.group ? crash.group->value : Hash(fmt::format("{} {}", crash.signal, program)),
          .user = user,
          // Whoever calls a unit of his own like a service of the system takes nothing of its share.
          .unit = crash.unit.empty() ? 0 : Hash(fmt::format("{} {}", user, crash.unit)) | 1,
          .uid = crash.uid,
          .core_bytes = crash.core_removed ? 0 : crash.disk_bytes,
          .record_bytes = kRecordBytes + Blocks(crash.report_bytes),
          .analysed = crash.report_bytes > 0,
          .retention = crash.retention};
}

void KeptCrashes::Add(const CrashSummary& crash) {
  crashes_.push_back(KeptOf(crash));
  days_.push_back(&*names_.insert(crash.location.day).first);
}

void KeptCrashes::Add(const Store& store, const BrokenCrash& broken) {
  const CrashLocation& crash = broken.location;
  const auto dir =
      OpenInside(store.root(), fmt::format("crashes/{}/{}", crash.day, crash.id), O_RDONLY | O_DIRECTORY);
  if (!dir) return;
  const CrashOwner owner = OwnerByRights(*dir);
  const auto bytes = [&](const char* name) { return BytesOf(store, crash, name).value_or(0); };
  const std::uint64_t report = bytes(kReportFile);
  crashes_.push_back({.id = ParseUnsigned(crash.id, 16).value_or(0),
                      .time = EndOf(crash.day),
                      .user = ShareOf(owner),
                      .uid = owner,
                      .core_bytes = bytes(kCoreFile) + bytes(kExeFile),
                      .record_bytes = kRecordBytes + Blocks(report),
                      .analysed = report > 0,
                      .unread = true});
  days_.push_back(&*names_.insert(crash.day).first);
}

Result<void> Confirm(const Store& store, const CrashLocation& location, const KeptCrash& crash) {
  const auto record = store.Load(location);
  const int error = record ? 0 : record.error().code;
  if (crash.unread && record) return Refuse(EBADMSG, "crash {}: its record can be read by now", location.id);
  if (crash.unread && error == ENOENT && HasJustChanged(store, location))
    return Refuse(EBUSY, "crash {}: it has no record yet: somebody may be copying it", location.id);
  if (crash.unread && SaysThereIsNone(record.error())) return {};
  if (error == ENOENT || error == EPERM || error == ELOOP) return {};
  if (!record) return std::unexpected(record.error());
  const CrashSummary said = Summarize(location, *record);
  if (said.time == crash.time && said.number == crash.number && said.uid == crash.uid &&
      said.retention == crash.retention)
    return {};
  return Refuse(EBADMSG, "crash {}: its record says another thing than the index (obit reindex)",
                location.id);
}

void KeptCrashes::ShareAs(const UserRanges& ranges) {
  for (KeptCrash& crash : crashes_)
    if (crash.uid) crash.user = std::uint64_t{ranges.ShareOf(*crash.uid)} + 1;
}

std::vector<CrashLocation> KeptCrashes::Measure(const Store& store, std::int64_t old) {
  std::vector<CrashLocation> gone;
  for (std::size_t at = 0; at < crashes_.size(); ++at) {
    KeptCrash& crash = crashes_[at];
    const CrashLocation location = LocationOf(at);
    if (crash.time < old) crash.arrived = ArrivalOf(store, location);
    if (crash.unread) continue;  // it was measured when it was added
    if (crash.core_bytes > 0) {
      const auto core = BytesOf(store, location, kCoreFile), program = BytesOf(store, location, kExeFile);
      if (core && *core == 0) gone.push_back(location);
      if (core && program) crash.core_bytes = *core + *program;
    }
    if (crash.record_bytes > kRecordBytes + kReportUnlooked)
      if (const auto report = BytesOf(store, location, kReportFile))
        crash.record_bytes = kRecordBytes + Blocks(*report);
  }
  return gone;
}

CrashLocation KeptCrashes::LocationOf(std::size_t at) const {
  return {*days_[at], fmt::format("{:016x}", crashes_[at].id)};
}

}  // namespace obit
