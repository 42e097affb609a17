#pragma once

// The rows of index.db, checked: a hostile file claims what it likes. For index.cc only.

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "catalog/read_folders.h"
#include "catalog/sqlite.h"
#include "catalog/summary.h"

namespace obit {

/// How many rows the queries of a list have given: a file that has pages for few may claim rows without end
/// (LimitSteps).
class RowCount {
 public:
  explicit RowCount(sqlite3* database) : database_(database) {}
  /// For each row, while the query runs. EBADMSG: there are more than the file has room for.
  [[nodiscard]] Result<void> Add();

 private:
  [[nodiscard]] Result<std::size_t> Room();
  sqlite3* database_;
  std::size_t count_ = 0, max_ = 0;
};

/// Where a row says that its crash is. EBADMSG: nowhere in a store; whoever went there would leave it.
[[nodiscard]] Result<CrashLocation> LocationIn(const Statement& row, int day, int id);

/// What a query of days and ids finds.
template <class... V>
Result<std::vector<CrashLocation>> LocationsOf(sqlite3* database, std::string_view sql, const V&... values) {
  std::vector<CrashLocation> crashes;
  auto query = OBIT_TRY(Statement::Prepare(database, sql));
  OBIT_TRY(query.Start(values...));
  RowCount count(database);
  while (OBIT_TRY(query.Next())) {
    OBIT_TRY(count.Add());
    crashes.push_back(OBIT_TRY(LocationIn(query, 0, 1)));
  }
  return crashes;
}

/// Rows are removed one by one, by places that were counted and checked. SQLite, asked to remove all, would
/// free page by page whatever the file claims, without a step in between that could be counted; asked to
/// remove those of a day, it would first copy all their keys.
[[nodiscard]] Result<void> RemoveRows(sqlite3* database, std::span<const CrashLocation> crashes);
/// Removes the rows of `crashes` that `loaded` takes the place of, or that were not found any more.
[[nodiscard]] Result<void> RemoveReplaced(sqlite3* database, std::span<const CrashLocation> crashes,
                                          const FolderContents& loaded);
/// Makes a row of each crash that was loaded.
[[nodiscard]] Result<void> InsertRows(sqlite3* database, const FolderContents& loaded);

/// What rows say of their crashes' records.
[[nodiscard]] Result<KnownSummary> KnownIn(sqlite3* database);
/// Calls `visit` with each row, oldest first. EBADMSG: there is more of them than a store holds.
[[nodiscard]] Result<void> ForEachRow(sqlite3* database, const std::function<void(CrashSummary)>& visit);

}  // namespace obit
