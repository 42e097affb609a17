#include "catalog/index_rows.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "catalog/index_files.h"

namespace obit {
namespace {

/// What a hostile file may claim in all; beyond it the folders are read instead.
constexpr std::size_t kRowsMax = 4'000'000, kTextMax = 1 << 30;
/// No row of the index is smaller, bytes: a day is ten, an id sixteen. Rows of `days` are at most as many.
constexpr std::size_t kRowMin = 14;

/// The columns of what a record says, and what RecordIn makes of them.
constexpr std::string_view kRecordColumns =
    "day, id, number, time, pid, uid, comm, exe, signal, detail, outcome, core_bytes, stored_bytes, reason, "
    "unit, disk_bytes, retention";
constexpr std::int64_t kRetentionMax = static_cast<std::int64_t>(RetentionClass::kKeep);
Result<CrashSummary> RecordIn(const Statement& row) {
  const auto detail = DetailNamed(row.Bytes(9));
  const auto outcome = OutcomeNamed(row.Bytes(10));
  const std::int64_t retention = row.Integer(16);
  if (!detail || !outcome || retention < 0 || retention > kRetentionMax)
    return Refuse(EBADMSG, "{}: a row with an unknown word", kIndexFile);
  CrashSummary crash;
  crash.location = OBIT_TRY(LocationIn(row, 0, 1));
  crash.number = static_cast<std::uint64_t>(row.Integer(2));
  crash.time = row.Integer(3);
  crash.pid = static_cast<pid_t>(row.Integer(4));
  if (!row.IsNull(5)) crash.uid = static_cast<uid_t>(row.Integer(5));
  crash.comm = row.Bytes(6);
  crash.exe = row.Bytes(7);
  crash.signal = static_cast<int>(row.Integer(8));
  crash.detail = *detail;
  crash.outcome = *outcome;
  crash.core_bytes = static_cast<std::uint64_t>(row.Integer(11));
  crash.stored_bytes = static_cast<std::uint64_t>(row.Integer(12));
  crash.reason = row.Bytes(13);
  crash.unit = row.Bytes(14);
  crash.disk_bytes = static_cast<std::uint64_t>(row.Integer(15));
  crash.retention = static_cast<RetentionClass>(retention);
  return crash;
}

}  // namespace

Result<void> RowCount::Add() {
  if (++count_ <= max_) return {};
  max_ = OBIT_TRY(Room());
  if (count_ > max_) return Refuse(EBADMSG, "{}: it has more rows than room for them", kIndexFile);
  return {};
}

Result<std::size_t> RowCount::Room() {
  auto query = OBIT_TRY(Statement::Prepare(
      database_, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"));
  if (!OBIT_TRY(query.Next())) return 0;
  return std::min(kRowsMax, static_cast<std::size_t>(query.Integer(0)) / kRowMin);
}

Result<CrashLocation> LocationIn(const Statement& row, int day, int id) {
  CrashLocation location{std::string(row.Bytes(day)), std::string(row.Bytes(id))};
  if (!IsLocation(location)) return Refuse(EBADMSG, "{}: a row that is of no crash", kIndexFile);
  return location;
}

Result<void> RemoveRows(sqlite3* database, std::span<const CrashLocation> crashes) {
  auto remove =
      OBIT_TRY(Statement::Prepare(database, "DELETE FROM crashes WHERE day = ? AND id = ?", kRowSteps));
  for (const CrashLocation& crash : crashes) OBIT_TRY(remove.Run(crash.day, crash.id));
  return {};
}

Result<void> RemoveReplaced(sqlite3* database, std::span<const CrashLocation> crashes,
                            const FolderContents& loaded) {
  if (loaded.kept.empty()) return RemoveRows(database, crashes);
  const std::set<CrashLocation> kept(loaded.kept.begin(), loaded.kept.end());
  std::vector<CrashLocation> replaced;
  std::ranges::copy_if(crashes, std::back_inserter(replaced),
                       [&](const CrashLocation& crash) { return !kept.contains(crash); });
  return RemoveRows(database, replaced);
}

Result<void> InsertRows(sqlite3* database, const FolderContents& loaded) {
  auto insert = OBIT_TRY(Statement::Prepare(
      database,
      "INSERT OR REPLACE INTO crashes (number, commit_number, time, id, day, pid, uid, comm, exe, signal, "
      "detail, "
      "outcome, core_bytes, stored_bytes, reason, unit, disk_bytes, retention, kind, cause, guess, "
      "group_version, "
      "group_value, report_bytes, report_inode, report_changed, core_removed) VALUES (?, ?, ?, ?, ?, ?, ?, "
      "?, "
      "?, "
      "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      kRowSteps));
  for (std::size_t i = 0; i < loaded.crashes.size(); ++i) {
    const CrashSummary& crash = loaded.crashes[i];
    std::optional<int> version;
    std::optional<std::uint64_t> value;
    if (crash.group) version = crash.group->version, value = crash.group->value;
    OBIT_TRY(insert.Run(crash.number, crash.commit_number, crash.time, crash.location.id, crash.location.day,
                        crash.pid, crash.uid, Blob{crash.comm}, Blob{crash.exe}, crash.signal,
                        NameOf(crash.detail), NameOf(crash.outcome), crash.core_bytes, crash.stored_bytes,
                        Blob{crash.reason}, Blob{crash.unit}, crash.disk_bytes,
                        static_cast<int>(crash.retention), NameOf(crash.kind), Blob{crash.cause},
                        crash.guess ? 1 : 0, version, value, crash.report_bytes, loaded.reports[i].inode,
                        loaded.reports[i].changed, loaded.reports[i].core_removed ? 1 : 0));
  }
  return {};
}

Result<KnownSummary> KnownIn(sqlite3* database) {
  const auto query = std::make_shared<Statement>(OBIT_TRY(Statement::Prepare(
      database, fmt::format("SELECT {} FROM crashes WHERE day = ? AND id = ?", kRecordColumns), kRowSteps)));
  return [query](const CrashLocation& crash) -> Result<std::optional<CrashSummary>> {
    OBIT_TRY(query->Start(crash.day, crash.id));
    if (!OBIT_TRY(query->Next())) return std::nullopt;
    return OBIT_TRY(RecordIn(*query));
  };
}

Result<void> ForEachRow(sqlite3* database, const std::function<void(CrashSummary)>& visit) {
  std::size_t text = 0;
  auto rows = OBIT_TRY(Statement::Prepare(
      database, fmt::format("SELECT {}, commit_number, kind, cause, guess, group_version, group_value, "
                            "report_bytes, core_removed FROM crashes ORDER BY number, time, id, day",
                            kRecordColumns)));
  RowCount count(database);
  while (OBIT_TRY(rows.Next())) {
    OBIT_TRY(count.Add());
    CrashSummary crash = OBIT_TRY(RecordIn(rows));
    const auto kind = CauseNamed(rows.Bytes(18));
    if (!kind) return Refuse(EBADMSG, "{}: a row with an unknown word", kIndexFile);
    crash.commit_number = static_cast<std::uint64_t>(rows.Integer(17));
    crash.kind = *kind;
    crash.cause = rows.Bytes(19);
    crash.guess = rows.Integer(20) != 0;
    if (!rows.IsNull(21))
      crash.group = {static_cast<int>(rows.Integer(21)), static_cast<std::uint64_t>(rows.Integer(22))};
    crash.report_bytes = static_cast<std::uint64_t>(rows.Integer(23));
    crash.core_removed = rows.Integer(24) != 0;
    text +=
        crash.comm.size() + crash.exe.size() + crash.reason.size() + crash.unit.size() + crash.cause.size();
    if (text > kTextMax) return Refuse(EBADMSG, "{}: it has more than a store holds", kIndexFile);
    visit(std::move(crash));
  }
  return {};
}

}  // namespace obit
