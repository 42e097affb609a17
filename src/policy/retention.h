#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "crash/kept_crash.h"

namespace obit {

/// What a store may hold, in bytes and ns. As it stands there is no limit.
struct RetentionLimits {
  std::uint64_t total_bytes = UINT64_MAX;  ///< of the store
  std::uint64_t keep_free = 0;             ///< so much of its file system is to be free
  std::uint64_t disk_free = UINT64_MAX;    ///< so much is free now
  /// What may go gets no smaller than this for the sake of `keep_free`, nor since much may not go: neither a
  /// disk that others fill nor pins may empty the store.
  std::uint64_t floor_bytes = 0;
  std::int64_t core_age = INT64_MAX, record_age = INT64_MAX;
  std::int64_t short_age = INT64_MAX;  ///< of cores of RetentionClass::kShort
  /// Percent of the store that one user, or one unit, has to itself before those of others give way to it.
  unsigned user_share = 100, unit_share = 100;
};
/// Those of a configuration, for a file system of so many bytes.
[[nodiscard]] RetentionLimits LimitsOf(const Config& config, std::uint64_t disk_bytes,
                                       std::uint64_t disk_free);

enum class RetentionReason : std::uint8_t { kAge, kTotal, kFree, kShort };
inline constexpr std::size_t kRetentionReasons = 4;
[[nodiscard]] std::string_view NameOf(RetentionReason reason);

/// "it was older than 30 days", "the store was larger than 10% of the disk": why a core, or all of a
/// crash, was removed.
[[nodiscard]] std::string DescribeRemoval(RetentionReason reason, bool whole, const Config& config);

/// What is to go: the core of a crash, or all that is left of it.
struct RetentionStep {
  std::size_t crash = 0;  ///< its place among those that were given
  bool whole = false;     ///< the record, too
  RetentionReason why = RetentionReason::kAge;
  std::uint64_t frees = 0;  ///< bytes
};

/// What may go may be so much, besides so many bytes that stay: what is left of the limit, but not less than
/// the floor. Else much that is pinned would cost all the rest, to no effect.
[[nodiscard]] std::uint64_t RoomBeside(std::uint64_t staying, const RetentionLimits& limits);
struct RetentionPlan {
  std::vector<RetentionStep> steps;
  std::uint64_t staying = 0;  ///< bytes of what may not go: it is pinned, or fixed
};

/// What has to go so that the limits hold, in this order, and no more. `now`: ns since 1970.
///
/// First what came too long ago. Then cores for which there is no room (RoomBeside) whatever else goes. Then,
/// while there is too much or too little is free: cores of users and units that have more than their share,
/// if there are any, else of all. Among those the oldest one of the group with the most bytes, what was
/// analysed before what was not, but neither the first nor the newest of any group; when there are no others,
/// those that alone are more than such a share, the oldest of the firsts, then the oldest of the newest.
/// All this first of what is RetentionClass::kShort, with a shorter age, and last of what is kKeep, which
/// gets too old never: but that users and units with more than their share have that removed before others
/// lose a core. Where no core is left that may go, whole records, the oldest first, those of kKeep last. What
/// is pinned stays; what its owner pinned counts as pinned only within the user's share.
[[nodiscard]] RetentionPlan PlanRetention(std::span<const KeptCrash> crashes, const RetentionLimits& limits,
                                          std::int64_t now);

}  // namespace obit
