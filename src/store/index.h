#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "crash/record.h"
#include "store/store.h"

struct sqlite3;

namespace obit {

/// What the crashes of one group have in common: the fingerprint of their reports (Report::Fingerprint).
struct GroupKey {
  int version = 0;
  std::uint64_t value = 0;
  auto operator<=>(const GroupKey&) const = default;
};

/// What a list shows of a crash, and what it is selected by: a row of the index.
struct CrashSummary {
  CrashLocation location;
  std::uint64_t number = 0;         ///< CrashRecord::number; 0 also where that is above kNumberMax
  std::uint64_t commit_number = 0;  ///< CommitMark::number; 0: it has none
  std::int64_t time = 0;            ///< ns since 1970
  pid_t pid = 0;
  std::optional<uid_t> uid;
  std::string comm, exe;
  int signal = 0;
  Detail detail = Detail::kFull;
  CrashOutcome outcome = CrashOutcome::kFailed;
  std::uint64_t core_bytes = 0, stored_bytes = 0;
  std::string reason;  ///< why it is less than a full core
  // Not in the index: see DropRemoved.
  bool pinned = false;
  std::uint64_t repeats = 0;  ///< crashes after it that were only counted

  // From the report; empty where there is none that can be read.
  CauseKind kind = CauseKind::kUnknown;
  std::string cause;  ///< the sentence
  bool guess = false;
  std::optional<GroupKey> group;
};
[[nodiscard]] CrashSummary Summarize(const CrashLocation& location, const CrashRecord& record);
/// Adds what a report says.
void AddReport(CrashSummary& summary, const Report& report);

/// A crash directory whose record cannot be read: listed, so that it is not lost silently.
struct BrokenCrash {
  CrashLocation location;
  Error why;
};

/// All crashes of a store.
struct CrashList {
  /// Oldest first: in the order of their numbers, whatever their times are. Those without a number are before
  /// all that have one; they, and copies of one number, are in the order of their times.
  std::vector<CrashSummary> crashes;
  std::vector<BrokenCrash> broken;
  std::size_t hidden = 0;  ///< those that the caller may not read
};

/// What a store holds, as a whole.
struct StoreUse {
  std::uint64_t crashes = 0;
  std::uint64_t stored_bytes = 0;  ///< of cores
};

/// index.db: a cache of the records and of what reports begin with (SQLite), so that a list does not open
/// each of them. The folders are the truth: each day is compared by its modification time. Where that
/// differs, names and the stamps of reports are compared, and what is new is read. Rebuilt when missing, old
/// or damaged. One thread at a time; several processes may use one file.
class Index {
 public:
  /// Opens store/index.db; makes it if the caller may. Fails with EACCES, EROFS, ... where it cannot be used:
  /// then ListFolders(store) gives the same.
  [[nodiscard]] static Result<Index> Open(const Store& store);
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  ~Index();

  /// Brings the index up to date with the folders and returns all there is.
  [[nodiscard]] Result<CrashList> List(const Store& store);
  /// Brings one day up to date: after a commit or a removal.
  [[nodiscard]] Result<void> Refresh(const Store& store, const std::string& day);
  /// Takes in crashes that were just committed or analysed, without a look at the others of their days.
  [[nodiscard]] Result<void> Add(const Store& store, std::span<const CrashLocation> crashes);
  /// Crashes that were accepted with a number and committed without, as far as the index knows.
  [[nodiscard]] Result<std::vector<CrashLocation>> Unnumbered();
  /// The highest numbers, as far as the index knows.
  struct Numbers {
    std::uint64_t accepted = 0, committed = 0;
  };
  [[nodiscard]] Result<Numbers> HighestNumbers();
  /// As the index knows it: what owners remove is noticed by the next List.
  [[nodiscard]] Result<StoreUse> Use();
  /// Forgets everything and reads all folders anew; returns how many crashes there are.
  [[nodiscard]] Result<std::size_t> Rebuild(const Store& store);

 private:
  explicit Index(sqlite3* database);
  Result<void> Recreate(const Store& store);

  sqlite3* database_ = nullptr;
};

/// The same as Index::List, from the folders alone.
[[nodiscard]] Result<CrashList> ListFolders(const Store& store);

/// Drops those that their owners have removed, and notes which are pinned and what was counted after them, of
/// which an index does not know: for crashes that are about to be shown.
void DropRemoved(const Store& store, std::vector<CrashSummary>& crashes);

/// All crashes of a store: by the index where it can be used, else from the folders.
[[nodiscard]] Result<CrashList> ListCrashes(const Store& store);

}  // namespace obit
