#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "base/user_ranges.h"
#include "catalog/summary.h"
#include "crash/kept_crash.h"
#include "store/store.h"

namespace obit {

/// What retention knows of a crash. Whether it is pinned no index knows: see Store::PresenceOf.
[[nodiscard]] KeptCrash KeptOf(const CrashSummary& crash);

/// Fails with EBADMSG where the record of a crash says another thing, or as Store::Load: before it is removed
/// since an index says that it is old. One that is gone, or in whose place its owner has put something, is no
/// contradiction. One that could not be read (KeptCrash::unread) is confirmed if nobody can read it, and,
/// where there is none, none was just about to come (EBUSY).
[[nodiscard]] Result<void> Confirm(const Store& store, const CrashLocation& location, const KeptCrash& crash);

/// All crashes of a store, for retention: some 100 bytes each.
class KeptCrashes {
 public:
  KeptCrashes() = default;
  KeptCrashes(KeptCrashes&&) = default;
  KeptCrashes& operator=(KeptCrashes&&) = default;

  void Add(const CrashSummary& crash);
  /// One whose record cannot be read, and that is no row of an index. It is of the day that it lies in, of
  /// the user who was given its folder, and of the bytes of its files. All of them are one group. What is no
  /// folder, but a link, a file or a mount, is left out.
  void Add(const Store& store, const BrokenCrash& crash);
  /// Those of one range take one user's share.
  void ShareAs(const UserRanges& ranges);
  /// Takes the bytes of cores, programs and large reports from the disk: an index may be wrong, and here that
  /// would cost cores. And when those came that happened before `old`: with that others do not count as old.
  /// Returns those whose core is gone although it was given: whoever removed it was killed before it said so.
  std::vector<CrashLocation> Measure(const Store& store, std::int64_t old = INT64_MAX);
  [[nodiscard]] std::vector<KeptCrash>& crashes() { return crashes_; }
  [[nodiscard]] const std::vector<KeptCrash>& crashes() const { return crashes_; }
  /// Where the one at this place lies.
  [[nodiscard]] CrashLocation LocationOf(std::size_t at) const;

 private:
  std::vector<KeptCrash> crashes_;
  std::set<std::string> names_;           // of days; they stay where they are
  std::vector<const std::string*> days_;  // of each crash
};

}  // namespace obit
