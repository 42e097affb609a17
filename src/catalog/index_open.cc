#include "catalog/index_open.h"

#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "catalog/index_files.h"
#include "crash/report.h"
#include "store/access.h"
#include "store/ownership.h"

namespace obit {
namespace {

/// Counted up with each change of the tables, and of what a row promises.
constexpr int kSchema = 8;
/// A file of another version is made anew; so are all groups, when fingerprints are made by other rules.
constexpr int kVersion = kSchema * 1000 + Report::Fingerprint::kVersion;
/// Each day that has rows in `crashes` has one in `days`; `changed` is Store::DayChanged before its folder
/// was read, 0 where the folder must be read again, and `crashes` the rows it had then. The columns of an
/// index are all that a comparison with a folder needs, or a sum.
constexpr const char* kTables = R"(
  CREATE TABLE days (day TEXT PRIMARY KEY, changed INTEGER NOT NULL, crashes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE crashes (
    number INTEGER NOT NULL, commit_number INTEGER NOT NULL, time INTEGER NOT NULL, id TEXT NOT NULL, day TEXT NOT NULL, pid INTEGER NOT NULL, uid INTEGER,
    comm BLOB NOT NULL, exe BLOB NOT NULL, signal INTEGER NOT NULL, detail TEXT NOT NULL,
    outcome TEXT NOT NULL, core_bytes INTEGER NOT NULL, stored_bytes INTEGER NOT NULL,
    reason BLOB NOT NULL, unit BLOB NOT NULL, disk_bytes INTEGER NOT NULL, retention INTEGER NOT NULL, kind TEXT NOT NULL, cause BLOB NOT NULL, guess INTEGER NOT NULL,
    group_version INTEGER, group_value INTEGER, report_bytes INTEGER NOT NULL,
    report_inode INTEGER NOT NULL, report_changed INTEGER NOT NULL,
    core_removed INTEGER NOT NULL, PRIMARY KEY (number, time, id, day)) STRICT, WITHOUT ROWID;
  CREATE INDEX crashes_by_day ON crashes (day, id, report_inode, report_changed, core_removed);
  CREATE INDEX crashes_by_commit ON crashes (commit_number);
  CREATE INDEX crashes_by_size ON crashes (core_removed, stored_bytes);
)";

/// One row at most of what a hostile file claims, bytes: a record and a report are never longer in sum.
constexpr int kRowMax = 32 << 20;

/// What all tables and indexes are made with, as text: those of obit are six, in 2 KiB.
constexpr std::size_t kTablesMax = 64 << 10;

/// What a file must not do by itself: it may be another user's than root's, who looks into it. Views and
/// triggers are statements that it would run.
void Restrict(sqlite3* database) {
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_limit(database, SQLITE_LIMIT_LENGTH, kRowMax);
  LimitSteps(database, kQuerySteps);  // SQLite reads the tables' names before the first statement
}

/// The tables and indexes of a database, as they were made.
Result<std::string> TablesOf(sqlite3* database) {
  std::string tables;
  auto query = OBIT_TRY(Statement::Prepare(
      database, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"));
  while (OBIT_TRY(query.Next())) {
    for (int column = 0; column < 4; ++column) tables.append(query.Bytes(column)).push_back('\n');
    if (tables.size() > kTablesMax) return Refuse(EBADMSG, "its tables are not those of obit");
  }
  return tables;
}

/// EBADMSG: they are not exactly those of kTables. An expression in one would be computed for each row.
Result<void> CheckTables(sqlite3* database) {
  static const std::string expected = [] {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open(":memory:", &opened);
    const DatabaseOwner model(opened, CloseDatabase{});
    if (code != SQLITE_OK || !ExecuteAll(opened, kTables)) return std::string();
    return TablesOf(opened).value_or("");
  }();
  if (OBIT_TRY(TablesOf(database)) != expected) return Refuse(EBADMSG, "its tables are not those of obit");
  return {};
}

/// Switched on by whoever makes the file. Without a journal on the disk meanwhile (GuardIndexFiles): one who
/// is killed there leaves a file that is made anew.
Result<void> UseLog(sqlite3* database) {
  {
    auto mode = OBIT_TRY(Statement::Prepare(database, "PRAGMA journal_mode"));
    if (OBIT_TRY(mode.Next()) && mode.Bytes(0) == "wal") return {};
  }
  return ExecuteAll(database, "PRAGMA journal_mode = MEMORY; PRAGMA journal_mode = WAL");
}

Result<int> Version(sqlite3* database) {
  auto query = OBIT_TRY(Statement::Prepare(database, "PRAGMA user_version"));
  return OBIT_TRY(query.Next()) ? static_cast<int>(query.Integer(0)) : 0;
}

/// Makes an empty file, which SQLite takes for a new database, and whose owner and mode it gives to its -wal
/// and -shm.
Result<void> CreateFile(const Store& store) {
  // Never opens an existing one: closing that would drop the locks of another connection of this process.
  const auto file = MakePrivateFile(store.root(), kIndexFile, O_RDWR | O_EXCL);
  if (!file && file.error().code == EEXIST) return {};
  if (!file) return std::unexpected(file.error());
  if (::fchmod(file->get(), kPrivateFile) < 0) return Fail(errno, "set its mode");  // whatever the umask
  return {};
}

/// Opens the file, or makes it. EBADMSG: it is damaged or of another version; `database` has it then, too.
Result<void> OpenFile(const Store& store, std::chrono::milliseconds patience, DatabaseOwner& database) {
  GuardIndexFiles();
  OBIT_TRY(CreateFile(store));
  const IndexFolder folder = OBIT_TRY(ShowFolder(store.root()));
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(fmt::format("{}/{}", folder.path, kIndexFile).c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, kIndexFileSystem);
  database = DatabaseOwner(opened, CloseDatabase{folder.opened});  // there even if it failed
  if (code != SQLITE_OK) return SqliteFailure(opened, code, "open");
  if (sqlite3_db_readonly(opened, "main") != 0) return Fail(EACCES, "open for writing");
  Restrict(opened);
  sqlite3_busy_timeout(opened, static_cast<int>(patience.count()));
  // NORMAL syncs only when the log is folded into the file: a power cut may lose the last rows, which are
  // read again, but leaves no file that is wrong without a sign, as OFF could.
  OBIT_TRY(UseLog(opened));
  OBIT_TRY(ExecuteAll(opened, "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY"));
  if (OBIT_TRY(Version(opened)) == 0) {
    auto transaction = OBIT_TRY(Transaction::Begin(opened));
    if (OBIT_TRY(Version(opened)) == 0) {  // else another process was first
      OBIT_TRY(ExecuteAll(opened, kTables));
      OBIT_TRY(Execute(opened, fmt::format("PRAGMA user_version = {}", kVersion)));
    }
    OBIT_TRY(transaction.Commit());
  }
  if (const int version = OBIT_TRY(Version(opened)); version != kVersion)
    return Refuse(EBADMSG, "its version is {}, not {}", version, kVersion);
  OBIT_TRY(CheckTables(opened));
  return {};
}

/// Another file has its name by now: of a process that had judged it, too.
bool HasMoved(sqlite3* database) {
  int moved = 0;
  const int code = sqlite3_file_control(database, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

}  // namespace

void RemoveIndexFiles(const Store& store, sqlite3* judged) {
  if (HasMoved(judged)) return;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"})
    ::unlinkat(store.root().get(), (std::string(kIndexFile) + suffix).c_str(), 0);
}

Result<DatabaseOwner> OpenIndexFile(const Store& store, std::chrono::milliseconds patience) {
  DatabaseOwner database;
  auto opened = OpenFile(store, patience, database);
  if (!opened && opened.error().code == EBADMSG) {
    RemoveIndexFiles(store, database.get());
    opened = OpenFile(store, patience, database);
  }
  if (!opened) return std::unexpected(std::move(opened).error().In(kIndexFile));
  return database;
}

}  // namespace obit
