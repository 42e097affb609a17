#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "crash/record.h"
#include "crash/report.h"
#include "store/store.h"

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
  std::string unit;    ///< systemd unit, container or pod that the process belonged to; empty: none is known
  std::uint64_t disk_bytes = 0;  ///< of core and program, as stored
  bool core_removed = false;     ///< they were removed since
  RetentionClass retention = RetentionClass::kNormal;
  [[nodiscard]] bool has_core() const { return stored_bytes > 0 && !core_removed; }
  // Not in the index: see DropRemoved.
  bool pinned = false;
  std::uint64_t repeats = 0;     ///< crashes after it that were only counted
  std::int64_t last_repeat = 0;  ///< the last of these, ns since 1970

  // From the report; empty where there is none that can be read.
  CauseKind kind = CauseKind::kUnknown;
  std::string cause;  ///< the sentence
  bool guess = false;
  std::optional<GroupKey> group;
  std::uint64_t report_bytes = 0;
};
/// `disk_bytes` is that of the core alone: see AddProgram.
[[nodiscard]] CrashSummary Summarize(const CrashLocation& location, const CrashRecord& record);
/// Adds the bytes of the program that is kept beside the core, if there is one.
void AddProgram(const Store& store, const CrashRecord& record, CrashSummary& summary);
/// Adds what a report says.
void AddReport(CrashSummary& summary, const Report& report);

/// A crash directory whose record cannot be read: listed, so that it is not lost silently.
struct BrokenCrash {
  CrashLocation location;
  Error why;
};

/// A day whose crashes cannot be listed now, or not by this reader. What was known of them is listed.
struct UnreadableDay {
  std::string day;
  Error why;
};

/// All crashes of a store.
struct CrashList {
  /// Oldest first: in the order of their numbers, whatever their times are. Those without a number are before
  /// all that have one; they, and copies of one number, are in the order of their times.
  std::vector<CrashSummary> crashes;
  std::vector<BrokenCrash> broken;
  /// Those of `crashes` that could not be read in full for an error that may not be there the next time: the
  /// cause or the commit number is missing, or is the one before.
  std::vector<BrokenCrash> partial;
  std::vector<UnreadableDay> unreadable;
  std::size_t hidden = 0;  ///< those that the caller may not read
};

/// What a store holds, as a whole.
struct StoreUse {
  std::uint64_t crashes = 0;
  std::uint64_t stored_bytes = 0;  ///< of cores
};

}  // namespace obit
