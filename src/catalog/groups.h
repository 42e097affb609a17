#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/summary.h"

namespace obit {

/// Crashes with one fingerprint, oldest first.
struct CrashGroup {
  GroupKey key;
  std::vector<const CrashSummary*> crashes;  ///< of those that were given; never empty
};

/// The groups of `crashes` (oldest first), the one that crashed last at the end. Crashes without a
/// fingerprint are in none.
[[nodiscard]] std::vector<CrashGroup> GroupCrashes(std::span<const CrashSummary> crashes);

/// The whole id of a group: its fingerprint, 16 hex digits.
[[nodiscard]] std::string GroupId(const GroupKey& key);
/// The same as it is shown: 6 digits, or as many more as it takes to tell all `groups` apart.
[[nodiscard]] std::size_t GroupDigits(std::span<const CrashGroup> groups);

/// Finds the group whose id begins with `selector`. If two versions of the fingerprint have the same value,
/// it is the newer one. ENOENT: none; ENOTUNIQ: several.
[[nodiscard]] Result<const CrashGroup*> SelectGroup(std::span<const CrashGroup> groups,
                                                    std::string_view selector);

}  // namespace obit
