#include "store/index.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "store/sqlite.h"

namespace obit {
namespace {

constexpr const char* kIndexFile = "index.db";
/// Another process that writes holds the lock for one day's rows; a list does not wait longer than this,
/// milliseconds.
constexpr int kBusyMilliseconds = 1000;
/// A folder that changed less than so long ago may change again without a new time stamp, ns. File systems
/// stamp by a clock that ticks each 1 to 10 ms, the coarsest ones each second or two.
constexpr std::int64_t kSettled = 2'000'000'000;

/// Counted up with each change of the tables: a file of another version is made anew.
constexpr int kSchema = 4;
/// Each day that has rows in `crashes` has one in `days`; `changed` is Store::DayChanged before its folder
/// was read, 0 where the folder must be read again. The columns of an index are all that a comparison with a
/// folder needs, or a sum.
constexpr const char* kTables = R"(
  CREATE TABLE days (day TEXT PRIMARY KEY, changed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE crashes (
    number INTEGER NOT NULL, commit_number INTEGER NOT NULL, time INTEGER NOT NULL, id TEXT NOT NULL, day TEXT NOT NULL, pid INTEGER NOT NULL, uid INTEGER,
    comm BLOB NOT NULL, exe BLOB NOT NULL, signal INTEGER NOT NULL, detail TEXT NOT NULL,
    outcome TEXT NOT NULL, core_bytes INTEGER NOT NULL, stored_bytes INTEGER NOT NULL,
    reason BLOB NOT NULL, kind TEXT NOT NULL, cause BLOB NOT NULL, guess INTEGER NOT NULL,
    group_version INTEGER, group_value INTEGER, report_inode INTEGER NOT NULL,
    report_changed INTEGER NOT NULL, PRIMARY KEY (number, time, id, day)) STRICT, WITHOUT ROWID;
  CREATE INDEX crashes_by_day ON crashes (day, id, report_inode, report_changed);
  CREATE INDEX crashes_by_commit ON crashes (commit_number);
  CREATE INDEX crashes_by_size ON crashes (stored_bytes);
)";

Result<int> Version(sqlite3* database) {
  auto query = OBIT_TRY(Statement::Prepare(database, "PRAGMA user_version"));
  return OBIT_TRY(query.Next()) ? static_cast<int>(query.Integer(0)) : 0;
}

/// Makes an empty file, which SQLite takes for a new database, and whose owner and mode it gives to its -wal
/// and -shm.
Result<void> CreateFile(const Store& store) {
  // Never opens an existing one: closing that would drop the locks of another connection of this process.
  const auto file = OpenAt(store.root(), kIndexFile, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!file && file.error().code == EEXIST) return {};
  if (!file) return std::unexpected(file.error());
  struct stat owner{};
  if (::fchmod(file->get(), 0600) < 0 || ::fstat(store.root().get(), &owner) < 0)
    return Fail(errno, "set its mode");
  // Made by root, it would lock out the server that owns the store.
  if (::geteuid() == 0 && ::fchown(file->get(), owner.st_uid, owner.st_gid) < 0)
    return Fail(errno, "set its owner");
  return {};
}

void RemoveFiles(const Store& store) {
  for (const char* suffix : {"", "-wal", "-shm"})
    ::unlinkat(store.root().get(), (std::string(kIndexFile) + suffix).c_str(), 0);
}

/// Opens the file, or makes it. EBADMSG: it is damaged or of another version.
Result<DatabaseOwner> OpenFile(const Store& store) {
  OBIT_TRY(CreateFile(store));
  // Without symlinks, for SQLITE_OPEN_NOFOLLOW looks at each part: root must not be led out of another user's
  // store.
  const std::unique_ptr<char, void (*)(void*)> folder(::realpath(store.path().c_str(), nullptr), &::free);
  if (!folder) return Fail(errno, "look for the folder");
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(fmt::format("{}/{}", folder.get(), kIndexFile).c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, nullptr);
  DatabaseOwner database(opened);  // there even if it failed
  if (code != SQLITE_OK) return SqliteFailure(opened, code, "open");
  if (sqlite3_db_readonly(opened, "main") != 0) return Fail(EACCES, "open for writing");
  sqlite3_busy_timeout(opened, kBusyMilliseconds);
  // NORMAL syncs only when the log is folded into the file: a power cut may lose the last rows, which are
  // read again, but leaves no file that is wrong without a sign, as OFF could.
  OBIT_TRY(ExecuteAll(opened, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"));
  if (OBIT_TRY(Version(opened)) == 0) {
    auto transaction = OBIT_TRY(Transaction::Begin(opened));
    if (OBIT_TRY(Version(opened)) == 0) {  // else another process was first
      OBIT_TRY(ExecuteAll(opened, kTables));
      OBIT_TRY(Execute(opened, fmt::format("PRAGMA user_version = {}", kSchema)));
    }
    OBIT_TRY(transaction.Commit());
  }
  if (const int version = OBIT_TRY(Version(opened)); version != kSchema)
    return Refuse(EBADMSG, "its version is {}, not {}", version, kSchema);
  return database;
}

Result<DatabaseOwner> OpenOrRebuild(const Store& store) {
  auto database = OpenFile(store);
  if (!database && database.error().code == EBADMSG) {
    RemoveFiles(store);
    database = OpenFile(store);
  }
  if (!database) return std::unexpected(std::move(database).error().In(kIndexFile));
  return database;
}

/// What was read of some crashes: rows to be.
struct Loaded {
  std::vector<CrashSummary> crashes;
  std::vector<ReportStamp> reports;  // that the summary of the same place was made from
  std::vector<BrokenCrash> broken;
  std::size_t hidden = 0;  // those that may not be read
};

/// Adds `crashes` of one day to `loaded`. One that has gone meanwhile is left out.
Result<void> LoadInto(Loaded& loaded, const Store& store, const std::string& day,
                      std::span<const CrashLocation> crashes) {
  std::vector<BrokenCrash> absent;
  for (const CrashLocation& crash : crashes) {
    auto record = store.Load(crash);
    if (!record) {
      if (record.error().code == EACCES)
        ++loaded.hidden;
      else
        (record.error().code == ENOENT ? absent : loaded.broken)
            .push_back({crash, std::move(record).error()});
      continue;
    }
    CrashSummary& summary = loaded.crashes.emplace_back(Summarize(crash, *record));
    ReportStamp& report = loaded.reports.emplace_back();
    summary.commit_number = store.LoadCommitNumber(crash).value_or(0);
    // A report that cannot be read is as good as none here: `obit show` tells of it.
    const auto head = store.LoadReportHead(crash);
    if (!head) continue;
    AddReport(summary, head->report);
    report = head->stamp;
  }
  if (absent.empty()) return {};
  // ENOENT is a folder that was removed, or one without a record: only the latter is still listed.
  const auto left = OBIT_TRY(store.CrashesOf(day));
  const std::set<CrashLocation> there(left.begin(), left.end());
  for (BrokenCrash& crash : absent)
    if (there.contains(crash.location) && !store.RemoveIfEmptied(crash.location))
      loaded.broken.push_back(std::move(crash));
  return {};
}

/// Drops what is known of a day that has no folder any more.
Result<void> ForgetDay(sqlite3* database, const std::string& day) {
  auto transaction = OBIT_TRY(Transaction::Begin(database));
  OBIT_TRY(Execute(database, "DELETE FROM crashes WHERE day = ?", day));
  OBIT_TRY(Execute(database, "DELETE FROM days WHERE day = ?", day));
  return transaction.Commit();
}

Result<void> Empty(sqlite3* database) {
  auto transaction = OBIT_TRY(Transaction::Begin(database));
  OBIT_TRY(Execute(database, "DELETE FROM crashes"));
  OBIT_TRY(Execute(database, "DELETE FROM days"));
  return transaction.Commit();
}

/// What a day's rows and its folder differ in.
struct Difference {
  std::vector<CrashLocation> unread;  // not rows yet, or of another report
  std::vector<CrashLocation> gone;    // rows without a folder
};

/// Ids as numbers, which are in the same order: a day may have 100,000 of them.
std::uint64_t NumberOf(std::string_view id) { return ParseUnsigned(id, 16).value_or(0); }

Result<Difference> CompareDay(sqlite3* database, const Store& store, const std::string& day) {
  struct Row {
    std::uint64_t id;
    ReportStamp report;
  };
  std::vector<Row> rows;  // by id
  auto query = OBIT_TRY(Statement::Prepare(
      database, "SELECT id, report_inode, report_changed FROM crashes WHERE day = ? ORDER BY id"));
  OBIT_TRY(query.Start(day));
  while (OBIT_TRY(query.Next()))
    rows.push_back(
        {NumberOf(query.Bytes(0)), {static_cast<std::uint64_t>(query.Integer(1)), query.Integer(2)}});

  auto there = OBIT_TRY(store.CrashesOf(day));
  const auto stamps = OBIT_TRY(store.ReportStamps(day, there));
  std::vector<std::pair<std::uint64_t, std::size_t>> order(there.size());  // id, index in `there`
  for (std::size_t i = 0; i < there.size(); ++i) order[i] = {NumberOf(there[i].id), i};
  std::ranges::sort(order);

  Difference difference;
  const auto gone = [&](const Row& row) { difference.gone.push_back({day, fmt::format("{:016x}", row.id)}); };
  auto row = rows.begin();
  for (const auto& [id, index] : order) {
    for (; row != rows.end() && row->id < id; ++row) gone(*row);
    const bool known = row != rows.end() && row->id == id;
    if (!known || row->report != stamps[index]) difference.unread.push_back(std::move(there[index]));
    if (known) ++row;
  }
  std::for_each(row, rows.end(), gone);
  return difference;
}

Result<void> RemoveRows(sqlite3* database, std::span<const CrashLocation> crashes) {
  auto remove = OBIT_TRY(Statement::Prepare(database, "DELETE FROM crashes WHERE day = ? AND id = ?"));
  for (const CrashLocation& crash : crashes) OBIT_TRY(remove.Run(crash.day, crash.id));
  return {};
}

Result<void> InsertRows(sqlite3* database, const Loaded& loaded) {
  auto insert = OBIT_TRY(Statement::Prepare(
      database,
      "INSERT OR REPLACE INTO crashes (number, commit_number, time, id, day, pid, uid, comm, exe, signal, "
      "detail, "
      "outcome, core_bytes, stored_bytes, reason, kind, cause, guess, group_version, group_value, "
      "report_inode, report_changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?)"));
  for (std::size_t i = 0; i < loaded.crashes.size(); ++i) {
    const CrashSummary& crash = loaded.crashes[i];
    std::optional<int> version;
    std::optional<std::uint64_t> value;
    if (crash.group) version = crash.group->version, value = crash.group->value;
    OBIT_TRY(insert.Run(crash.number, crash.commit_number, crash.time, crash.location.id, crash.location.day,
                        crash.pid, crash.uid, Blob{crash.comm}, Blob{crash.exe}, crash.signal,
                        NameOf(crash.detail), NameOf(crash.outcome), crash.core_bytes, crash.stored_bytes,
                        Blob{crash.reason}, NameOf(crash.kind), Blob{crash.cause}, crash.guess ? 1 : 0,
                        version, value, loaded.reports[i].inode, loaded.reports[i].changed));
  }
  return {};
}

/// Reads a day's folder and makes its rows equal to it; returns the broken ones, which never become rows.
///
/// Another process may do the same, and crashes and reports come and go, at any moment. So the order matters:
/// first the time stamp (a later change makes it differ), then the rows (what is a row and not in the folder
/// has been removed), then the folder, and the stamp of each report before the report. The lock is held only
/// to write, not while records are read.
Result<std::vector<BrokenCrash>> ReadDay(sqlite3* database, const Store& store, const std::string& day) {
  const std::int64_t now = RealtimeNow();
  const std::int64_t changed = store.DayChanged(day);
  const Difference difference = OBIT_TRY(CompareDay(database, store, day));
  Loaded loaded;
  OBIT_TRY(LoadInto(loaded, store, day, difference.unread));

  auto transaction = OBIT_TRY(Transaction::Begin(database));
  OBIT_TRY(RemoveRows(database, difference.gone));
  OBIT_TRY(RemoveRows(database, difference.unread));
  OBIT_TRY(InsertRows(database, loaded));
  const bool settled = loaded.broken.empty() && changed < now - kSettled;
  OBIT_TRY(Execute(database,
                   "INSERT INTO days (day, changed) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET "
                   "changed = excluded.changed WHERE changed <> excluded.changed",
                   day, settled ? changed : 0));
  OBIT_TRY(transaction.Commit());
  return std::move(loaded.broken);
}

Result<std::vector<CrashSummary>> ReadRows(sqlite3* database) {
  std::vector<CrashSummary> crashes;
  auto rows =
      OBIT_TRY(Statement::Prepare(database,
                                  "SELECT day, id, time, pid, uid, comm, exe, signal, detail, outcome, "
                                  "core_bytes, stored_bytes, reason, kind, cause, guess, group_version, "
                                  "group_value, number, commit_number FROM crashes "
                                  "ORDER BY number, time, id, day"));
  while (OBIT_TRY(rows.Next())) {
    const auto detail = DetailNamed(rows.Bytes(8));
    const auto outcome = OutcomeNamed(rows.Bytes(9));
    const auto kind = CauseNamed(rows.Bytes(13));
    if (!detail || !outcome || !kind) return Refuse(EBADMSG, "{}: a row with an unknown word", kIndexFile);
    CrashSummary& crash = crashes.emplace_back();
    crash.location = {std::string(rows.Bytes(0)), std::string(rows.Bytes(1))};
    crash.time = rows.Integer(2);
    crash.pid = static_cast<pid_t>(rows.Integer(3));
    if (!rows.IsNull(4)) crash.uid = static_cast<uid_t>(rows.Integer(4));
    crash.comm = rows.Bytes(5);
    crash.exe = rows.Bytes(6);
    crash.signal = static_cast<int>(rows.Integer(7));
    crash.detail = *detail;
    crash.outcome = *outcome;
    crash.core_bytes = static_cast<std::uint64_t>(rows.Integer(10));
    crash.stored_bytes = static_cast<std::uint64_t>(rows.Integer(11));
    crash.reason = rows.Bytes(12);
    crash.kind = *kind;
    crash.cause = rows.Bytes(14);
    crash.guess = rows.Integer(15) != 0;
    crash.number = static_cast<std::uint64_t>(rows.Integer(18));
    crash.commit_number = static_cast<std::uint64_t>(rows.Integer(19));
    if (!rows.IsNull(16))
      crash.group = {static_cast<int>(rows.Integer(16)), static_cast<std::uint64_t>(rows.Integer(17))};
  }
  return crashes;
}

Result<CrashList> UpdateAndList(sqlite3* database, const Store& store) {
  std::map<std::string, std::int64_t, std::less<>> known;
  {
    auto rows = OBIT_TRY(Statement::Prepare(database, "SELECT day, changed FROM days"));
    while (OBIT_TRY(rows.Next())) known.emplace(rows.Bytes(0), rows.Integer(1));
  }
  CrashList list;
  for (const std::string& day : OBIT_TRY(store.Days())) {
    const auto row = known.extract(day);
    if (!row.empty() && row.mapped() != 0 && row.mapped() == store.DayChanged(day)) continue;
    auto broken = OBIT_TRY(ReadDay(database, store, day));
    std::ranges::move(broken, std::back_inserter(list.broken));
  }
  for (const auto& [day, changed] : known) OBIT_TRY(ForgetDay(database, day));
  list.crashes = OBIT_TRY(ReadRows(database));
  return list;
}

}  // namespace

CrashSummary Summarize(const CrashLocation& location, const CrashRecord& record) {
  return {.location = location,
          .number = record.number <= kNumberMax ? record.number : 0,
          .time = record.time,
          .pid = record.process.pid,
          .uid = record.process.uid,
          .comm = record.process.comm,
          .exe = record.process.exe,
          .signal = record.signal.number,
          .detail = record.capture.detail,
          .outcome = record.capture.outcome,
          .core_bytes = record.capture.core_bytes,
          .stored_bytes = record.capture.stored_bytes,
          .reason = record.capture.reason};
}

void AddReport(CrashSummary& summary, const Report& report) {
  summary.kind = report.cause.kind;
  summary.cause = report.cause.sentence;
  summary.guess = report.cause.guess;
  if (const auto value = ParseUnsigned(report.fingerprint.value, 16))
    summary.group = {report.fingerprint.version, *value};
}

Index::Index(sqlite3* database) : database_(database) {}
Index::Index(Index&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
Index& Index::operator=(Index&& other) noexcept {
  Index taken(std::move(other));
  std::swap(database_, taken.database_);
  return *this;
}
Index::~Index() { sqlite3_close_v2(database_); }

Result<Index> Index::Open(const Store& store) { return Index(OBIT_TRY(OpenOrRebuild(store)).release()); }

Result<CrashList> Index::List(const Store& store) {
  auto list = UpdateAndList(database_, store);
  if (list || list.error().code != EBADMSG) return list;
  OBIT_TRY(Recreate(store));
  return UpdateAndList(database_, store);
}

Result<void> Index::Refresh(const Store& store, const std::string& day) {
  if (store.DayChanged(day) == 0) return ForgetDay(database_, day);
  (void)OBIT_TRY(ReadDay(database_, store, day));
  return {};
}

Result<void> Index::Add(const Store& store, std::span<const CrashLocation> crashes) {
  Loaded loaded;
  for (const CrashLocation& crash : crashes)
    OBIT_TRY(LoadInto(loaded, store, crash.day, std::span(&crash, 1)));
  auto transaction = OBIT_TRY(Transaction::Begin(database_));
  OBIT_TRY(RemoveRows(database_, crashes));
  OBIT_TRY(InsertRows(database_, loaded));
  // The next list compares the day: one of these may have been removed since it was read, and other crashes
  // may have come and gone.
  auto unsettle = OBIT_TRY(Statement::Prepare(
      database_,
      "INSERT INTO days (day, changed) VALUES (?, 0) ON CONFLICT (day) DO UPDATE SET changed = 0"));
  for (const CrashSummary& crash : loaded.crashes) OBIT_TRY(unsettle.Run(crash.location.day));
  return transaction.Commit();
}

Result<std::vector<CrashLocation>> Index::Unnumbered() {
  std::vector<CrashLocation> crashes;
  auto query = OBIT_TRY(Statement::Prepare(
      database_, "SELECT day, id FROM crashes WHERE commit_number = 0 AND number > 0 ORDER BY number"));
  while (OBIT_TRY(query.Next()))
    crashes.push_back({std::string(query.Bytes(0)), std::string(query.Bytes(1))});
  return crashes;
}

Result<Index::Numbers> Index::HighestNumbers() {
  auto query = OBIT_TRY(Statement::Prepare(
      database_, "SELECT (SELECT max(number) FROM crashes), (SELECT max(commit_number) FROM crashes)"));
  if (!OBIT_TRY(query.Next())) return Numbers{};
  return Numbers{static_cast<std::uint64_t>(query.Integer(0)), static_cast<std::uint64_t>(query.Integer(1))};
}

Result<StoreUse> Index::Use() {
  auto query = OBIT_TRY(Statement::Prepare(database_, "SELECT count(*), sum(stored_bytes) FROM crashes"));
  if (!OBIT_TRY(query.Next())) return StoreUse{};
  return StoreUse{static_cast<std::uint64_t>(query.Integer(0)), static_cast<std::uint64_t>(query.Integer(1))};
}

Result<std::size_t> Index::Rebuild(const Store& store) {
  const auto emptied = Empty(database_);  // in place where that works: another process may have the file open
  if (!emptied && emptied.error().code != EBADMSG) return std::unexpected(emptied.error());
  if (!emptied) OBIT_TRY(Recreate(store));
  return OBIT_TRY(List(store)).crashes.size();
}

/// Replaces a file that turned out to be damaged.
Result<void> Index::Recreate(const Store& store) {
  RemoveFiles(store);
  *this = OBIT_TRY(Open(store));
  return {};
}

Result<CrashList> ListFolders(const Store& store) {
  Loaded loaded;
  for (const std::string& day : OBIT_TRY(store.Days())) {
    const auto crashes = OBIT_TRY(store.CrashesOf(day));
    OBIT_TRY(LoadInto(loaded, store, day, crashes));
  }
  CrashList list{std::move(loaded.crashes), std::move(loaded.broken), loaded.hidden};
  std::ranges::sort(list.crashes, {}, [](const CrashSummary& crash) {
    return std::tie(crash.number, crash.time, crash.location.id, crash.location.day);
  });
  return list;
}

void DropRemoved(const Store& store, std::vector<CrashSummary>& crashes) {
  std::erase_if(crashes, [&](CrashSummary& crash) {
    const Store::Presence presence = store.PresenceOf(crash.location);
    crash.pinned = presence.pinned;
    if (presence.repeated)
      if (const auto repeats = store.LoadRepeats(crash.location)) crash.repeats = repeats->crashes;
    return !presence.exists;
  });
}

Result<CrashList> ListCrashes(const Store& store) {
  if (auto index = Index::Open(store))
    if (auto list = index->List(store)) return list;
  return ListFolders(store);
}

}  // namespace obit
