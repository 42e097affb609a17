#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/kept.h"
#include "catalog/summary.h"
#include "store/store.h"

struct sqlite3;

namespace obit {

/// index.db: a cache of the records and of what reports begin with (SQLite), so that a list does not open
/// each of them. The folders are the truth: each day is compared by its modification time. Where that
/// differs, names and the stamps of reports are compared, and what is new is read. A day that could not be
/// read wholly is compared until it was. Rebuilt when missing, old or damaged. One thread at a time; several
/// processes may use one file.
class Index {
 public:
  /// Opens store/index.db; makes it if the caller may. Fails with EACCES, EROFS, ... where it cannot be used:
  /// then ListFolders(store) gives the same.
  /// No call waits longer than `patience` for another process that writes: then it fails with EBUSY.
  [[nodiscard]] static Result<Index> Open(const Store& store, std::chrono::milliseconds patience = kPatience);
  /// A process that writes holds the lock for one day's rows.
  static constexpr std::chrono::milliseconds kPatience{1000};
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  ~Index();

  /// Brings the index up to date with the folders and returns all there is.
  [[nodiscard]] Result<CrashList> List(const Store& store);
  /// The same without the list: for the questions below.
  [[nodiscard]] Result<void> Update(const Store& store);
  /// It knows of no day: it was just made, or the store has no crash.
  [[nodiscard]] Result<bool> IsEmpty();
  /// Brings one day up to date: after a commit or a removal.
  [[nodiscard]] Result<void> Refresh(const Store& store, const std::string& day);
  /// Takes in crashes that were just committed, analysed or numbered, without a look at the others of their
  /// days. The record of one that it knows is not read again.
  [[nodiscard]] Result<void> Add(const Store& store, std::span<const CrashLocation> crashes);
  /// The same of crashes that were just committed by whoever has their records: summaries without reports.
  [[nodiscard]] Result<void> AddCommitted(const Store& store, std::span<const CrashSummary> crashes);
  /// Crashes that were accepted with a number and committed without, as far as the index knows.
  [[nodiscard]] Result<std::vector<CrashLocation>> Unnumbered();
  /// The highest numbers, as far as the index knows.
  struct Numbers {
    std::uint64_t accepted = 0, committed = 0;
  };
  [[nodiscard]] Result<Numbers> HighestNumbers();
  /// As the index knows it: what owners remove is noticed by the next List.
  [[nodiscard]] Result<StoreUse> Use();
  /// All crashes, for retention, after an Update: with those that no row is made of since their records
  /// cannot be read.
  [[nodiscard]] Result<KeptCrashes> Kept(const Store& store);
  /// Forgets everything and reads all folders anew; returns what List would.
  [[nodiscard]] Result<CrashList> Rebuild(const Store& store);
  /// Puts an empty file in the place of a damaged one: for Refresh of each day, or List.
  [[nodiscard]] Result<void> Recreate(const Store& store);

 private:
  Index(sqlite3* database, std::shared_ptr<const void> folder, std::chrono::milliseconds patience);
  [[nodiscard]] Result<CrashList> UpdateAndTell(const Store& store);

  sqlite3* database_ = nullptr;
  std::shared_ptr<const void> folder_;  // of the store: SQLite opens files there as long as it is open
  std::chrono::milliseconds patience_;
};

}  // namespace obit
