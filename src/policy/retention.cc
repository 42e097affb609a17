#include "policy/retention.h"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>
#include <ranges>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>

namespace obit {
namespace {

std::uint64_t Sum(std::uint64_t a, std::uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }
std::uint64_t Less(std::uint64_t from, std::uint64_t bytes) { return from - std::min(from, bytes); }
std::uint64_t Percent(std::uint64_t of, unsigned percent) {
  return of / 100 * percent + of % 100 * percent / 100;
}

std::string_view OfDisk(const DiskAmount& amount) { return amount.percent ? " of the disk" : ""; }

/// The order in which crashes came. With the id at its end, the order in which they are given does not
/// matter.
auto OrderOf(const KeptCrash& crash) { return std::tie(crash.number, crash.time, crash.id); }

/// 2020, before the first obit: a clock that says less had not been set.
constexpr std::int64_t kFirstTime = 18'262 * std::int64_t{86'400'000'000'000};

/// When each crash came into the store, at the latest. Their times tell when they happened: of an import that
/// is long ago, and a host without a battery begins in 1970. So it came not before its files, nor before one
/// with a lower number. What nothing is known of came with the next one, or now.
class Arrivals {
 public:
  Arrivals(std::span<const KeptCrash> crashes, std::span<const std::size_t> by_order, std::int64_t now)
      : times_(crashes.size(), now) {
    std::int64_t latest = INT64_MIN;
    for (const std::size_t i : by_order) {
      const KeptCrash& crash = crashes[i];
      if (crash.time > now) continue;  // by a clock that was ahead
      times_[i] = crash.arrived > now ? crash.time : std::max(crash.time, crash.arrived);
      if (crash.number > 0) times_[i] = latest = std::max(latest, times_[i]);
    }
    std::int64_t next = now;
    for (const std::size_t i : by_order | std::views::reverse) {
      if (times_[i] < kFirstTime) times_[i] = crashes[i].number > 0 ? next : now;
      if (crashes[i].number > 0) next = times_[i];
    }
  }
  [[nodiscard]] std::int64_t Of(std::size_t i) const { return times_[i]; }

 private:
  std::vector<std::int64_t> times_;
};

class Planner {
 public:
  Planner(std::span<const KeptCrash> crashes, const RetentionLimits& limits, std::int64_t now)
      : crashes_(crashes), limits_(limits), now_(now), left_(crashes.size()), may_go_(crashes.size()) {
    for (std::size_t i = 0; i < crashes.size(); ++i) {
      left_[i] = {crashes[i].core_bytes, crashes[i].record_bytes};
      all_ = Sum(all_, Count(i));
      by_order_.push_back(i);
      may_go_[i] = !crashes[i].fixed && crashes[i].pin != PinKind::kByAdministrator;
    }
    std::ranges::sort(by_order_, {}, [&](std::size_t i) { return OrderOf(crashes_[i]); });
    const std::uint64_t all = limits.total_bytes == UINT64_MAX ? all_ : limits.total_bytes;
    user_max_ = Percent(all, limits.user_share);
    unit_max_ = Percent(all, limits.unit_share);
    HonourPins();
    for (std::size_t i = 0; i < crashes.size(); ++i) {
      std::uint64_t& sum = may_go_[i] ? used_ : staying_;
      sum = Sum(sum, Sum(left_[i].core, left_[i].record));
    }
    room_ = RoomBeside(staying_, limits);
  }

  RetentionPlan Plan() {
    TakeTheOld();
    TakeTheTooLarge();
    const auto take = [this](RetentionClass retention, bool above_share) {
      if (!IsOver()) return;
      TakeCores([this, retention, above_share](std::size_t i) {
        return crashes_[i].retention == retention && (!above_share || IsAboveShare(i));
      });
    };
    take(RetentionClass::kShort, true);
    take(RetentionClass::kShort, false);
    take(RetentionClass::kNormal, true);
    take(RetentionClass::kKeep, true);
    take(RetentionClass::kNormal, false);
    take(RetentionClass::kKeep, false);
    for (const bool above_share : {true, false})
      for (const bool kept : {false, true})
        if (IsOver()) TakeRecords(kept, above_share);
    return {.steps = std::move(steps_), .staying = staying_};
  }

 private:
  struct Left {
    std::uint64_t core = 0, record = 0;
  };

  std::uint64_t Count(std::size_t i) {
    const std::uint64_t bytes = Sum(left_[i].core, left_[i].record);
    for (std::uint64_t* sum : {&users_[crashes_[i].user], &units_[crashes_[i].unit]}) *sum = Sum(*sum, bytes);
    return bytes;
  }

  /// The newest of what owners pinned stay, up to their share.
  void HonourPins() {
    std::unordered_map<std::uint64_t, std::uint64_t> pinned;
    for (std::size_t at = by_order_.size(); at-- > 0;) {
      const std::size_t i = by_order_[at];
      if (crashes_[i].pin != PinKind::kByOwner) continue;
      std::uint64_t& sum = pinned[crashes_[i].user];
      sum = Sum(sum, Sum(left_[i].core, left_[i].record));
      if (sum <= user_max_) may_go_[i] = false;
    }
  }

  [[nodiscard]] bool IsAboveShare(std::size_t i) const {
    return users_.at(crashes_[i].user) > user_max_ ||
           (crashes_[i].unit != 0 && units_.at(crashes_[i].unit) > unit_max_);
  }
  /// Without it no other of its user, or unit, had to go.
  [[nodiscard]] bool IsAboveShareAlone(std::size_t i) const {
    return left_[i].core > user_max_ || (crashes_[i].unit != 0 && left_[i].core > unit_max_);
  }
  [[nodiscard]] bool IsOver() const {
    return used_ > room_ || (free_ < limits_.keep_free && used_ > limits_.floor_bytes);
  }
  [[nodiscard]] RetentionReason Why() const {
    return used_ > room_ ? RetentionReason::kTotal : RetentionReason::kFree;
  }

  void Take(std::size_t i, bool whole, RetentionReason why) {
    const std::uint64_t bytes = whole ? Sum(left_[i].core, left_[i].record) : left_[i].core;
    left_[i].core = 0;
    if (whole) left_[i].record = 0, may_go_[i] = false;
    used_ = Less(used_, bytes);
    free_ = Sum(free_, bytes);
    for (std::uint64_t* sum : {&users_[crashes_[i].user], &units_[crashes_[i].unit]})
      *sum = Less(*sum, bytes);
    steps_.push_back({.crash = i, .whole = whole, .why = why, .frees = bytes});
  }

  void TakeTheOld() {
    const Arrivals arrivals(crashes_, by_order_, now_);
    for (const std::size_t i : by_order_) {
      const RetentionClass retention = crashes_[i].retention;
      if (!may_go_[i] || retention == RetentionClass::kKeep) continue;
      const std::int64_t age = now_ - arrivals.Of(i);
      if (age > limits_.record_age)
        Take(i, true, RetentionReason::kAge);
      else if (left_[i].core > 0 && retention == RetentionClass::kShort && age > limits_.short_age)
        Take(i, false, RetentionReason::kShort);
      else if (left_[i].core > 0 && age > limits_.core_age)
        Take(i, false, RetentionReason::kAge);
    }
  }

  /// For these there is no room, whatever else goes.
  void TakeTheTooLarge() {
    for (const std::size_t i : by_order_)
      if (may_go_[i] && left_[i].core > room_) Take(i, false, RetentionReason::kTotal);
  }

  struct Group {
    std::uint64_t bytes = 0;
    std::vector<std::size_t> cores;  // that there are, in order
    /// Those that may go and are neither the first nor the newest, the oldest last: what was analysed, and
    /// what was not.
    std::array<std::vector<std::size_t>, 2> middles;
  };
  using Groups = std::unordered_map<std::uint64_t, Group>;

  /// Takes only those for which `may` is true when their turn comes.
  void TakeCores(const std::function<bool(std::size_t)>& may) {
    Groups groups;
    for (const std::size_t i : by_order_) {
      if (left_[i].core == 0) continue;
      Group& group = groups[crashes_[i].group];
      group.bytes = Sum(group.bytes, left_[i].core);
      group.cores.push_back(i);
    }
    const auto goes = [&](std::size_t i) { return may_go_[i] && left_[i].core > 0 && may(i); };
    std::vector<std::size_t> large, first, newest;
    for (auto& [key, group] : groups) {
      for (std::size_t at = group.cores.size(); at-- > 0;) {
        const std::size_t i = group.cores[at];
        if (!goes(i)) continue;
        if (IsAboveShareAlone(i)) large.push_back(i);
        (at + 1 == group.cores.size() ? newest
         : at == 0                    ? first
                                      : group.middles[crashes_[i].analysed ? 0 : 1])
            .push_back(i);
      }
    }
    for (const std::size_t kind : {0, 1}) TakeMiddles(groups, kind, goes);
    for (auto* ends : {&large, &first, &newest}) {
      std::ranges::sort(*ends, {}, [&](std::size_t i) { return OrderOf(crashes_[i]); });
      for (const std::size_t i : *ends)
        if (IsOver() && goes(i)) Take(i, false, Why());
    }
  }

  void TakeMiddles(Groups& groups, std::size_t kind, const std::function<bool(std::size_t)>& goes) {
    const auto smaller = [&](const Group* a, const Group* b) {
      return a->bytes != b->bytes
                 ? a->bytes < b->bytes
                 : OrderOf(crashes_[a->middles[kind].back()]) > OrderOf(crashes_[b->middles[kind].back()]);
    };
    std::vector<Group*> with_middle;
    for (auto& [key, group] : groups)
      if (!group.middles[kind].empty()) with_middle.push_back(&group);
    // Only the group on top changes, before it goes back: the others are in their places.
    std::priority_queue largest(smaller, std::move(with_middle));
    while (IsOver() && !largest.empty()) {
      Group& group = *largest.top();
      largest.pop();
      const std::size_t i = group.middles[kind].back();
      group.middles[kind].pop_back();
      if (goes(i)) {
        group.bytes = Less(group.bytes, left_[i].core);
        Take(i, false, Why());
      }
      if (!group.middles[kind].empty()) largest.push(&group);
    }
  }

  void TakeRecords(bool kept, bool above_share) {
    for (const std::size_t i : by_order_) {
      const bool is_kept = crashes_[i].retention == RetentionClass::kKeep;
      if (IsOver() && may_go_[i] && is_kept == kept && (!above_share || IsAboveShare(i)))
        Take(i, true, Why());
    }
  }

  std::span<const KeptCrash> crashes_;
  const RetentionLimits& limits_;
  std::int64_t now_;
  std::vector<std::size_t> by_order_;
  std::vector<Left> left_;
  std::vector<bool> may_go_;
  std::uint64_t used_ = 0, staying_ = 0;  // by what may go, and by the rest
  std::uint64_t room_ = 0, free_ = limits_.disk_free, all_ = 0, user_max_ = 0, unit_max_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> users_, units_;
  std::vector<RetentionStep> steps_;
};

}  // namespace

std::string_view NameOf(RetentionReason reason) {
  constexpr std::array<std::string_view, kRetentionReasons> kNames{"age", "size", "free", "short"};
  return kNames[static_cast<std::size_t>(reason)];
}

std::string DescribeRemoval(RetentionReason reason, bool whole, const Config& config) {
  switch (reason) {
    case RetentionReason::kAge:
      return fmt::format("it was older than {} days",
                         whole ? config.retention_record_days : config.retention_core_days);
    case RetentionReason::kTotal:
      return fmt::format("the store was larger than {}{}", ToText(config.retention_size),
                         OfDisk(config.retention_size));
    case RetentionReason::kShort:
      return fmt::format("it was older than {} days, and of those that go early",
                         config.retention_short_days);
    case RetentionReason::kFree:
      break;
  }
  return fmt::format("less was free than {}{}", ToText(config.retention_free), OfDisk(config.retention_free));
}

RetentionLimits LimitsOf(const Config& config, std::uint64_t disk_bytes, std::uint64_t disk_free) {
  constexpr std::int64_t kDay = 86'400'000'000'000;
  constexpr std::uint64_t kFloorPart = 4;
  const auto days = [](unsigned count) { return count == 0 ? INT64_MAX : count * kDay; };
  const std::uint64_t total = config.retention_size.Of(disk_bytes).value_or(UINT64_MAX);
  return {.total_bytes = total,
          .keep_free = config.retention_free.Of(disk_bytes).value_or(0),
          .disk_free = disk_free,
          .floor_bytes = (total == UINT64_MAX ? disk_bytes / 10 : total) / kFloorPart,
          .core_age = days(config.retention_core_days),
          .record_age = days(config.retention_record_days),
          .short_age = days(config.retention_short_days),
          .user_share = config.retention_user_share,
          .unit_share = config.retention_unit_share};
}

std::uint64_t RoomBeside(std::uint64_t staying, const RetentionLimits& limits) {
  if (limits.total_bytes == UINT64_MAX) return UINT64_MAX;
  return std::max(Less(limits.total_bytes, staying), std::min(limits.floor_bytes, limits.total_bytes));
}

RetentionPlan PlanRetention(std::span<const KeptCrash> crashes, const RetentionLimits& limits,
                            std::int64_t now) {
  return Planner(crashes, limits, now).Plan();
}

}  // namespace obit
