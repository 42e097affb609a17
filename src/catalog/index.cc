// A list shows a dozen facts of each crash, and they lie in two files of each folder: to list 100,000
// crashes, 200,000 files would be opened and parsed. So index.db has a row for each crash. But a copy can be
// out of date, and many change the folders: obitd, obit rm, obit analyze, whoever copies crashes into a
// store or takes a day away by hand. They cannot all be made to tell the index, and one that is killed in
// between tells nothing. So nobody has to: the folders are the truth, and the index finds out by itself what
// it has missed.
//
// It does so by modification times. A crash that comes or goes changes the folder of its day; a report does
// not, so whoever writes one touches the day (Store::WriteReport). A day that looks as it did when it was
// read last is not looked into: a list of what has not changed costs a stat(2) for each day, and one query.
// A day that differs is compared with its rows by names and by the stamps of reports, and only what differs
// is read: of a new crash everything; of one that has a row its report, its commit number and whether its
// core was removed, since a record never changes. (Whoever removes a core touches the day, too:
// Store::RemoveCore.)
//
// Two things make that safe. Time stamps are coarse, and a folder may change twice in one tick: so a day
// that changed a moment ago (kSettled) is compared the next time, too. And everything can change while it is
// read: ReadDay looks at things in such an order that a later look sees what this one has missed. Whoever
// has just committed or analysed a crash may add its row without a look at the rest (Add, AddCommitted),
// which leaves the day to be compared by the next list.
//
// And who compares a day may not be able to read all of it. User obit may not read what root has copied into
// the store, and a disk or a file server may fail for a moment. What is a row then stays as it is, what is
// none does not become one that says less than there is and is believed, and the day is compared again by the
// next list, which may be root's: until somebody could read all of it, it is not settled. That costs the
// names of the day, and a try for each crash that could not be read; what has a row is not read again. A
// whole day that cannot be listed hides nothing of the others.
//
// A reader can rely on this: a list says what ListFolders would say, but for two things. What is changed
// within a crash folder leaves no trace in its day: what an owner does there (DropRemoved looks there for
// what is displayed), and a record or a report that somebody repairs, replaces or damages by hand without
// touching the day. And who cannot read a crash sees it as who could read it has seen it last. Whatever is
// wrong with the file, its loss included, costs time and nothing else: it is made anew, or the folders are
// read instead. And root, who lists stores of others, is led nowhere by a row: its day and id are checked
// before they become a path.

#include "catalog/index.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/text.h"
#include "catalog/index_files.h"
#include "catalog/index_memory.h"
#include "catalog/index_open.h"
#include "catalog/index_rows.h"
#include "catalog/read_folders.h"
#include "catalog/sqlite.h"

namespace obit {
namespace {

/// A folder that changed less than so long ago may change again without a new time stamp, ns. File systems
/// stamp by a clock that ticks each 1 to 10 ms, the coarsest ones each second or two.
constexpr std::int64_t kSettled = 2'000'000'000;

/// Drops what is known of a day that has no folder any more.
Result<void> ForgetDay(sqlite3* database, const std::string& day) {
  auto transaction = OBIT_TRY(Transaction::Begin(database));
  const auto rows = OBIT_TRY(LocationsOf(database, "SELECT day, id FROM crashes WHERE day = ?", day));
  OBIT_TRY(RemoveRows(database, rows));
  OBIT_TRY(Execute(database, "DELETE FROM days WHERE day = ?", day));
  return transaction.Commit();
}

/// The days that the index knows, and when they changed; 0 if rows of it are missing, or are too many.
using KnownDays = std::map<std::string, std::int64_t, std::less<>>;
Result<KnownDays> DaysIn(sqlite3* database) {
  KnownDays days;
  auto rows = OBIT_TRY(Statement::Prepare(
      database,
      "SELECT day, iif(crashes = (SELECT count(*) FROM crashes AS c WHERE c.day = days.day), changed, 0) "
      "FROM days"));
  RowCount count(database);
  while (OBIT_TRY(rows.Next())) {
    OBIT_TRY(count.Add());
    if (!IsDay(rows.Bytes(0))) return Refuse(EBADMSG, "{}: a row that is of no day", kIndexFile);
    days.emplace(rows.Bytes(0), rows.Integer(1));
  }
  return days;
}

Result<void> Empty(sqlite3* database) {
  auto transaction = OBIT_TRY(Transaction::Begin(database));
  OBIT_TRY(RemoveRows(database, OBIT_TRY(LocationsOf(database, "SELECT day, id FROM crashes"))));
  for (const auto& [day, changed] : OBIT_TRY(DaysIn(database)))
    OBIT_TRY(Execute(database, "DELETE FROM days WHERE day = ?", day));
  return transaction.Commit();
}

/// What a day's rows and its folder differ in.
struct Difference {
  std::vector<CrashLocation> unread;   // not rows yet
  std::vector<CrashLocation> changed;  // rows of another report
  std::vector<CrashLocation> gone;     // rows without a folder
  bool complete = true;                // false: of some rows it is not known whether their report is another
  std::optional<Error> unreadable;     // the folder cannot be listed, for more than want of descriptors
};

/// Ids as numbers, which are in the same order: a day may have 100,000 of them.
std::uint64_t NumberOf(std::string_view id) { return ParseUnsigned(id, 16).value_or(0); }

Result<Difference> CompareDay(sqlite3* database, const Store& store, const std::string& day,
                              RowCount& count) {
  struct Row {
    std::uint64_t id;
    ReportStamp report;
  };
  std::vector<Row> rows;  // by id
  auto query = OBIT_TRY(Statement::Prepare(
      database,
      "SELECT id, report_inode, report_changed, core_removed FROM crashes WHERE day = ? ORDER BY id"));
  OBIT_TRY(query.Start(day));
  while (OBIT_TRY(query.Next())) {
    OBIT_TRY(count.Add());
    if (!IsCrashId(query.Bytes(0))) return Refuse(EBADMSG, "{}: a row that is of no crash", kIndexFile);
    rows.push_back({NumberOf(query.Bytes(0)),
                    {static_cast<std::uint64_t>(query.Integer(1)), query.Integer(2), query.Integer(3) != 0}});
  }

  Difference difference;
  const auto unlisted = [&](const Error& why) -> Result<Difference> {
    if (IsShortage(why)) return std::unexpected(why);
    difference.unreadable = why;
    return std::move(difference);
  };
  auto listed = store.CrashesOf(day);
  if (!listed) return unlisted(listed.error());
  std::vector<CrashLocation>& there = *listed;
  const auto stamped = store.ReportStamps(day, there);
  if (!stamped) return unlisted(stamped.error());
  const auto& stamps = *stamped;
  std::vector<std::pair<std::uint64_t, std::size_t>> order(there.size());  // id, index in `there`
  for (std::size_t i = 0; i < there.size(); ++i) order[i] = {NumberOf(there[i].id), i};
  std::ranges::sort(order);

  const auto gone = [&](const Row& row) { difference.gone.push_back({day, fmt::format("{:016x}", row.id)}); };
  auto row = rows.begin();
  for (const auto& [id, index] : order) {
    for (; row != rows.end() && row->id < id; ++row) gone(*row);
    const bool known = row != rows.end() && row->id == id;
    if (!known)
      difference.unread.push_back(std::move(there[index]));
    else if (!stamps[index])
      difference.complete = false;
    else if (row->report != stamps[index])
      difference.changed.push_back(std::move(there[index]));
    if (known) ++row;
  }
  std::for_each(row, rows.end(), gone);
  return difference;
}

/// Notes what is known of a day: `changed` is 0 where its folder must be read again.
Result<void> Settle(sqlite3* database, const std::string& day, std::int64_t changed) {
  auto settle = OBIT_TRY(Statement::Prepare(
      database,
      "INSERT INTO days (day, changed, crashes) SELECT ?1, ?2, count(*) FROM crashes WHERE day = ?1 "
      "ON CONFLICT (day) DO UPDATE SET changed = excluded.changed, crashes = excluded.crashes "
      "WHERE changed <> excluded.changed OR crashes <> excluded.crashes"));
  return settle.Run(day, changed);
}

/// Reads the folders of some crashes of a day and makes rows of them. What was read stays if the rest is not:
/// the day is not settled before Settle says so. True if nothing of them is left for another time.
Result<bool> ReadSome(sqlite3* database, const Store& store, const std::string& day,
                      std::span<const CrashLocation> some, const KnownSummary& known, CrashList& list) {
  FolderContents loaded;
  OBIT_TRY(ReadFolders(store, day, some, loaded, known));
  auto transaction = OBIT_TRY(Transaction::Begin(database));
  OBIT_TRY(RemoveReplaced(database, some, loaded));  // others may have made rows of them
  OBIT_TRY(InsertRows(database, loaded));
  OBIT_TRY(Settle(database, day, 0));
  OBIT_TRY(transaction.Commit());
  const bool complete = loaded.complete();
  Tell(std::move(loaded), list);
  return complete;
}

/// The same of all of them, so many at a time: the lock is held for a moment only, and whoever is interrupted
/// has not read them in vain.
Result<bool> ReadAll(sqlite3* database, const Store& store, const std::string& day,
                     std::span<const CrashLocation> crashes, const KnownSummary& known, CrashList& list) {
  constexpr std::size_t kAtOnce = 1000;
  bool complete = true;
  while (!crashes.empty()) {
    const auto some = crashes.first(std::min(kAtOnce, crashes.size()));
    complete = OBIT_TRY(ReadSome(database, store, day, some, known, list)) && complete;
    crashes = crashes.subspan(some.size());
  }
  return complete;
}

/// Reads a day's folder and makes its rows equal to it; tells `list` of those that cannot be read. Broken
/// ones never become rows. A day that cannot be listed keeps its rows, and is not settled.
///
/// Another process may do the same, and crashes and reports come and go, at any moment. So the order matters:
/// first the time stamp (a later change makes it differ), then the rows (what is a row and not in the folder
/// has been removed), then the folder, and the stamp of each report before the report. The lock is held only
/// to write, not while records are read.
Result<void> ReadDay(sqlite3* database, const Store& store, const std::string& day, RowCount& count,
                     CrashList& list) {
  const std::int64_t now = RealtimeNow();
  const std::int64_t changed = store.DayChanged(day);
  Difference difference = OBIT_TRY(CompareDay(database, store, day, count));
  if (difference.unreadable) {
    list.unreadable.push_back({day, std::move(*difference.unreadable)});
    return {};
  }
  bool complete = OBIT_TRY(ReadAll(database, store, day, difference.unread, {}, list));
  if (!difference.changed.empty())
    complete =
        OBIT_TRY(ReadAll(database, store, day, difference.changed, OBIT_TRY(KnownIn(database)), list)) &&
        complete;

  auto transaction = OBIT_TRY(Transaction::Begin(database));
  OBIT_TRY(RemoveRows(database, difference.gone));
  const bool settled = complete && difference.complete && changed < now - kSettled;
  OBIT_TRY(Settle(database, day, settled ? changed : 0));
  return transaction.Commit();
}

/// Somebody has cut index.db-shm, and this process has a part of it for itself: that is a damaged index.
template <class T>
Result<T> IfWhole(Result<T> told) {
  if (IsIndexMemoryCut()) return Refuse(EBADMSG, "{}: its memory was cut while it was open", kIndexFile);
  return told;
}

/// Brings all days up to date; tells `list` as ReadDay does.
Result<void> ReadDays(sqlite3* database, const Store& store, CrashList& list) {
  KnownDays known = OBIT_TRY(DaysIn(database));
  RowCount compared(database);
  for (const std::string& day : OBIT_TRY(store.Days())) {
    const auto row = known.extract(day);
    if (!row.empty() && row.mapped() != 0 && row.mapped() == store.DayChanged(day)) continue;
    OBIT_TRY(ReadDay(database, store, day, compared, list));
  }
  for (const auto& [day, changed] : known) OBIT_TRY(ForgetDay(database, day));
  return {};
}

Result<CrashList> UpdateAndList(sqlite3* database, const Store& store) {
  CrashList list;
  OBIT_TRY(ReadDays(database, store, list));
  OBIT_TRY(ForEachRow(database, [&](CrashSummary crash) { list.crashes.push_back(std::move(crash)); }));
  return list;
}

/// Makes rows of `loaded`, in the place of those that `crashes` may have.
Result<void> AddRows(sqlite3* database, std::span<const CrashLocation> crashes,
                     const FolderContents& loaded) {
  auto transaction = OBIT_TRY(Transaction::Begin(database));
  OBIT_TRY(RemoveReplaced(database, crashes, loaded));
  OBIT_TRY(InsertRows(database, loaded));
  // The next list compares the day: one of these may have been removed since it was read, and other crashes
  // may have come and gone.
  auto unsettle = OBIT_TRY(Statement::Prepare(
      database,
      "INSERT INTO days (day, changed, crashes) VALUES (?, 0, 0) ON CONFLICT (day) DO UPDATE SET changed = 0",
      kRowSteps));
  for (const CrashSummary& crash : loaded.crashes) OBIT_TRY(unsettle.Run(crash.location.day));
  for (const CrashLocation& crash : loaded.kept) OBIT_TRY(unsettle.Run(crash.day));
  return transaction.Commit();
}

}  // namespace

Index::Index(sqlite3* database, std::shared_ptr<const void> folder, std::chrono::milliseconds patience)
    : database_(database), folder_(std::move(folder)), patience_(patience) {}
Index::Index(Index&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)),
      folder_(std::move(other.folder_)),
      patience_(other.patience_) {}
Index& Index::operator=(Index&& other) noexcept {
  Index taken(std::move(other));
  std::swap(database_, taken.database_);
  std::swap(folder_, taken.folder_);
  std::swap(patience_, taken.patience_);
  return *this;
}
Index::~Index() { sqlite3_close_v2(database_); }

Result<bool> Index::IsEmpty() {
  auto query = OBIT_TRY(Statement::Prepare(database_, "SELECT 1 FROM days LIMIT 1"));
  OBIT_TRY(query.Start());
  return !OBIT_TRY(query.Next());
}

Result<Index> Index::Open(const Store& store, std::chrono::milliseconds patience) {
  DatabaseOwner database = OBIT_TRY(OpenIndexFile(store, patience));
  auto folder = database.get_deleter().folder;
  return Index(database.release(), std::move(folder), patience);
}

Result<CrashList> Index::List(const Store& store) {
  auto list = IfWhole(UpdateAndList(database_, store));
  if (list || list.error().code != EBADMSG) return list;
  OBIT_TRY(Recreate(store));
  return IfWhole(UpdateAndList(database_, store));
}

Result<void> Index::Update(const Store& store) {
  OBIT_TRY(UpdateAndTell(store));  // the next list tells, too
  return {};
}

/// The list has no rows: only what ReadDays tells of.
Result<CrashList> Index::UpdateAndTell(const Store& store) {
  CrashList told;
  auto updated = IfWhole(ReadDays(database_, store, told));
  if (!updated && updated.error().code == EBADMSG) {
    OBIT_TRY(Recreate(store));
    told = {};
    updated = IfWhole(ReadDays(database_, store, told));
  }
  if (!updated) return std::unexpected(std::move(updated).error());
  return told;
}

Result<void> Index::Refresh(const Store& store, const std::string& day) {
  // A day that cannot be looked at is not gone.
  if (store.DayChanged(day) == 0 && OBIT_TRY(store.CrashesOf(day)).empty()) return ForgetDay(database_, day);
  RowCount count(database_);
  CrashList untold;  // the next list tells
  OBIT_TRY(ReadDay(database_, store, day, count, untold));
  if (!untold.unreadable.empty()) return std::unexpected(std::move(untold.unreadable.front().why));
  return {};
}

Result<void> Index::Add(const Store& store, std::span<const CrashLocation> crashes) {
  FolderContents loaded;
  {
    const KnownSummary known = OBIT_TRY(KnownIn(database_));
    // A day at a time: for those that are gone it is listed.
    std::map<std::string_view, std::vector<CrashLocation>> by_day;
    for (const CrashLocation& crash : crashes) by_day[crash.day].push_back(crash);
    for (const auto& [day, of_day] : by_day)
      OBIT_TRY(ReadFolders(store, std::string(day), of_day, loaded, known));
  }
  return AddRows(database_, crashes, loaded);
}

Result<void> Index::AddCommitted(const Store& store, std::span<const CrashSummary> crashes) {
  FolderContents there;
  std::vector<CrashLocation> locations;
  for (const CrashSummary& crash : crashes) {
    locations.push_back(crash.location);
    if (store.MayExist(crash.location)) there.crashes.push_back(crash);
  }
  there.reports.resize(there.crashes.size());  // a report that came meanwhile has another stamp
  return AddRows(database_, locations, there);
}

Result<std::vector<CrashLocation>> Index::Unnumbered() {
  return LocationsOf(database_,
                     "SELECT day, id FROM crashes WHERE commit_number = 0 AND number > 0 ORDER BY number");
}

Result<Index::Numbers> Index::HighestNumbers() {
  auto query = OBIT_TRY(Statement::Prepare(
      database_, "SELECT (SELECT max(number) FROM crashes), (SELECT max(commit_number) FROM crashes)"));
  if (!OBIT_TRY(query.Next())) return Numbers{};
  return Numbers{static_cast<std::uint64_t>(query.Integer(0)), static_cast<std::uint64_t>(query.Integer(1))};
}

Result<StoreUse> Index::Use() {
  auto query = OBIT_TRY(Statement::Prepare(database_,
                                           "SELECT count(*), cast(max(0, min(total(iif(core_removed, 0, "
                                           "stored_bytes)), 9e18)) AS INTEGER) FROM crashes"));
  if (!OBIT_TRY(query.Next())) return StoreUse{};
  return StoreUse{static_cast<std::uint64_t>(query.Integer(0)), static_cast<std::uint64_t>(query.Integer(1))};
}

Result<KeptCrashes> Index::Kept(const Store& store) {
  KeptCrashes kept;
  const CrashList told = OBIT_TRY(UpdateAndTell(store));
  OBIT_TRY(ForEachRow(database_, [&](const CrashSummary& crash) { kept.Add(crash); }));
  // A day with one of these is not settled: it is told of each time.
  for (const BrokenCrash& crash : told.broken) kept.Add(store, crash);
  return kept;
}

Result<CrashList> Index::Rebuild(const Store& store) {
  const auto emptied = Empty(database_);  // in place where that works: another process may have the file open
  if (!emptied && emptied.error().code != EBADMSG) return std::unexpected(emptied.error());
  if (!emptied) OBIT_TRY(Recreate(store));
  return List(store);
}

Result<void> Index::Recreate(const Store& store) {
  RemoveIndexFiles(store, database_);
  *this = OBIT_TRY(Open(store, patience_));
  return {};
}

}  // namespace obit
