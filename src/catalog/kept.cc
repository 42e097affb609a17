#include "catalog/kept.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <string_view>

#include <sys/stat.h>

#include "base/file_time.h"
#include "base/inside.h"
#include "base/text.h"
#include "crash/report_json.h"

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

std::uint64_t Hash(std::string_view text) { return std::hash<std::string_view>()(text); }

}  // namespace

KeptCrash KeptOf(const CrashSummary& crash) {
  const std::uint64_t user = crash.uid ? std::uint64_t{*crash.uid} + 1 : 0;
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
          .analysed = crash.report_bytes > 0};
}

void KeptCrashes::Add(const CrashSummary& crash) {
  crashes_.push_back(KeptOf(crash));
  days_.push_back(&*names_.insert(crash.location.day).first);
}

Result<void> Confirm(const Store& store, const CrashLocation& location, const KeptCrash& crash) {
  const auto record = store.Load(location);
  const int error = record ? 0 : record.error().code;
  if (error == ENOENT || error == EPERM || error == ELOOP) return {};
  if (!record) return std::unexpected(record.error());
  const CrashSummary said = Summarize(location, *record);
  if (said.time == crash.time && said.number == crash.number && said.uid == crash.uid) return {};
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
