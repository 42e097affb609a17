#include "policy/retention.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <gmock/gmock.h>

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kDay = 86'400'000'000'000;
constexpr std::int64_t kNow = 20'000 * kDay;

KeptCrash Crash(std::uint64_t id, std::uint64_t group, std::uint64_t core_bytes, std::int64_t days_ago = 0) {
  return {.id = id,
          .number = id,
          .time = kNow - days_ago * kDay,
          .group = group,
          .user = 1,
          .core_bytes = core_bytes,
          .record_bytes = 1,
          .analysed = true};
}

/// "3" is the core of crash 3, "3!" all of it.
std::vector<std::string> Texts(std::span<const KeptCrash> crashes, std::span<const RetentionStep> steps) {
  std::vector<std::string> texts;
  for (const RetentionStep& step : steps)
    texts.push_back(std::to_string(crashes[step.crash].id) + (step.whole ? "!" : ""));
  return texts;
}
std::vector<std::string> Plan(std::span<const KeptCrash> crashes, const RetentionLimits& limits) {
  return Texts(crashes, PlanRetention(crashes, limits, kNow).steps);
}

TEST(Retention, RemovesNothingWithoutNeed) {
  const std::vector crashes{Crash(1, 1, 100, 3), Crash(2, 1, 100, 2), Crash(3, 1, 100, 400)};
  EXPECT_THAT(Plan(crashes, {}), IsEmpty());
  EXPECT_THAT(Plan(crashes, {.total_bytes = 303, .keep_free = 5, .disk_free = 5, .core_age = 400 * kDay}),
              IsEmpty());
  EXPECT_THAT(Plan({}, {.total_bytes = 0, .keep_free = 5, .disk_free = 0}), IsEmpty());
}

TEST(Retention, CoresGrowOldBeforeRecords) {
  const std::vector crashes{Crash(1, 1, 100, 181), Crash(2, 1, 100, 31), Crash(3, 1, 0, 31),
                            Crash(4, 1, 100, 30), Crash(5, 1, 100, -9)};
  EXPECT_THAT(Plan(crashes, {.core_age = 30 * kDay, .record_age = 180 * kDay}), ElementsAre("1!", "2"));
}

TEST(Retention, AgeCountsFromWhenItCame) {
  const RetentionLimits limits{.core_age = 30 * kDay, .record_age = 180 * kDay};
  std::vector crashes{Crash(1, 1, 100, 210), Crash(2, 1, 100, 210), Crash(3, 1, 100, 210)};
  for (KeptCrash& crash : crashes) crash.number = 0;
  crashes[0].arrived = kNow - kDay;  // an import, just made
  crashes[1].arrived = kNow - 100 * kDay;
  crashes[2].arrived = kNow + kDay;  // by a clock that was ahead
  EXPECT_THAT(Plan(crashes, limits), ElementsAre("2", "3!"));
}

TEST(Retention, AClockThatWasNotSetMakesNothingOld) {
  const RetentionLimits limits{.core_age = 30 * kDay, .record_age = 180 * kDay};
  std::vector crashes{Crash(1, 1, 100), Crash(2, 1, 100, 40), Crash(3, 1, 100), Crash(4, 1, 100, 20),
                      Crash(5, 1, 100)};
  for (const std::size_t unset : {0, 2, 4}) crashes[unset].time = crashes[unset].arrived = 9 * kDay;
  EXPECT_THAT(Plan(crashes, limits), ElementsAre("1", "2", "3")) << "3 came after 2, 1 before it";
  crashes[0].number = 0;
  EXPECT_THAT(Plan(crashes, limits), ElementsAre("2", "3")) << "of 1 nothing is known";
  EXPECT_THAT(Plan(std::span(crashes).subspan(4), limits), IsEmpty());
}

TEST(Retention, TheOldestOfTheLargestGroupGoesFirst) {
  const std::vector crashes{Crash(1, 1, 100), Crash(2, 1, 100), Crash(3, 1, 100), Crash(4, 2, 50),
                            Crash(5, 2, 50),  Crash(6, 2, 50),  Crash(7, 2, 200)};
  // The middle of the largest group, then of what is then the largest; then firsts; then the newest.
  EXPECT_THAT(Plan(crashes, {.keep_free = UINT64_MAX, .disk_free = 0}),
              ElementsAre("5", "2", "6", "1", "4", "3", "7", "1!", "2!", "3!", "4!", "5!", "6!", "7!"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 607}), ElementsAre("5"));
}

TEST(Retention, WhatIsNotAnalysedStaysLonger) {
  std::vector crashes{Crash(1, 1, 100), Crash(2, 1, 100), Crash(3, 1, 100), Crash(4, 2, 50),
                      Crash(5, 2, 50),  Crash(6, 2, 50),  Crash(7, 1, 100)};
  crashes[1].analysed = false;
  EXPECT_THAT(Plan(crashes, {.total_bytes = 350}), ElementsAre("3", "5", "2"));
}

TEST(Retention, WhatHasNoRoomGoesAlone) {
  std::vector crashes{Crash(1, 1, 100), Crash(2, 1, 100), Crash(3, 1, 100), Crash(4, 2, 1000)};
  EXPECT_THAT(Plan(crashes, {.total_bytes = 500}), ElementsAre("4"));
  crashes.push_back(Crash(5, 3, 400));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 500, .user_share = 50}), ElementsAre("4", "2", "5"))
      << "it alone is more than its user's share";
}

TEST(Retention, WhatMayNotGoDoesNotCostTheRest) {
  std::vector crashes{Crash(1, 1, 100), Crash(2, 1, 1000), Crash(3, 2, 100), Crash(4, 3, 100)};
  crashes[1].pin = PinKind::kByAdministrator;
  const RetentionLimits limits{.total_bytes = 800, .floor_bytes = 210};
  EXPECT_EQ(PlanRetention(crashes, limits, kNow).staying, 1001u);
  EXPECT_EQ(RoomBeside(1001, limits), 210u);
  EXPECT_EQ(RoomBeside(300, limits), 500u);
  EXPECT_EQ(RoomBeside(300, {}), UINT64_MAX);
  EXPECT_THAT(Plan(crashes, limits), ElementsAre("1"));
  crashes[0].fixed = true;
  EXPECT_THAT(Plan(crashes, limits), IsEmpty());
}

TEST(Retention, WhoHasMoreThanTheirShareGivesWayFirst) {
  std::vector crashes{Crash(1, 1, 10), Crash(2, 1, 10), Crash(3, 1, 10), Crash(4, 4, 100), Crash(5, 5, 100)};
  for (const std::size_t of_other : {0, 1, 2}) crashes[of_other].user = 2;
  EXPECT_THAT(Plan(crashes, {.total_bytes = 200, .user_share = 50}), ElementsAre("4"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 200, .user_share = 100}), ElementsAre("4"))
      << "203 of 200 is above it, too";
  EXPECT_THAT(Plan(crashes, {.total_bytes = 230, .user_share = 100}), ElementsAre("2"));
  crashes[4].unit = 9;
  EXPECT_THAT(Plan(crashes, {.total_bytes = 230, .user_share = 100, .unit_share = 40}), ElementsAre("5"));
}

TEST(Retention, ADiskThatOthersFillDoesNotEmptyTheStore) {
  const std::vector crashes{Crash(1, 1, 100), Crash(2, 2, 100), Crash(3, 3, 100)};
  EXPECT_THAT(Plan(crashes, {.keep_free = 1000, .disk_free = 0, .floor_bytes = 150}), ElementsAre("1", "2"));
  EXPECT_THAT(Plan(crashes, {.keep_free = 1000, .disk_free = 899, .floor_bytes = 0}), ElementsAre("1", "2"));
}

TEST(Retention, PinsOfTheOwnerCountWithinTheirShare) {
  std::vector crashes{Crash(1, 1, 100, 99), Crash(2, 2, 100, 99), Crash(3, 3, 100, 99), Crash(4, 4, 100, 99)};
  const RetentionLimits limits{.total_bytes = 500, .core_age = kDay, .user_share = 50};
  for (KeptCrash& crash : crashes) crash.pin = PinKind::kByOwner;
  EXPECT_THAT(Plan(crashes, limits), ElementsAre("1", "2")) << "the newest 250 bytes of them stay";
  for (KeptCrash& crash : crashes) crash.pin = PinKind::kByAdministrator;
  EXPECT_THAT(Plan(crashes, limits), IsEmpty());
  for (KeptCrash& crash : crashes) crash.pin = PinKind::kNone, crash.fixed = true;
  EXPECT_THAT(Plan(crashes, limits), IsEmpty());
}

TEST(Retention, SumsDoNotWrapAround) {
  const std::vector crashes{Crash(1, 1, UINT64_MAX), Crash(2, 2, UINT64_MAX), Crash(3, 3, 1)};
  EXPECT_THAT(Plan(crashes, {.total_bytes = 1000}), ElementsAre("1", "2"));
  EXPECT_THAT(PlanRetention(crashes, {.core_age = 1, .record_age = 1}, INT64_MIN).steps, IsEmpty());
  EXPECT_EQ(PlanRetention(crashes, {.core_age = 1, .record_age = 1}, INT64_MAX).steps.size(), 3u);
}

// What holds for any store. A seed stands for one.

struct Sample {
  std::vector<KeptCrash> crashes;
  RetentionLimits limits;
  std::uint64_t staying = 0;
};

Sample SampleOf(unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](std::uint64_t end) { return random() % end; };
  Sample sample;
  const std::size_t count = below(40);
  const std::uint64_t groups = 1 + below(8), users = 1 + below(4), units = 1 + below(4);
  for (std::uint64_t id = 1; id <= count; ++id)
    sample.crashes.push_back(
        {.id = id,
         .number = below(8) == 0 ? 0 : id,
         .time = kNow - static_cast<std::int64_t>(below(300)) * kDay + 5 * kDay,
         .arrived = below(3) == 0 ? kNow - static_cast<std::int64_t>(below(300)) * kDay : 0,
         .group = below(groups),
         .user = below(users),
         .unit = below(units),
         .core_bytes = below(4) == 0 ? 0 : below(1000),
         .record_bytes = below(10),
         .analysed = below(3) > 0,
         .pin = below(8) == 0   ? PinKind::kByOwner
                : below(9) == 0 ? PinKind::kByAdministrator
                                : PinKind::kNone,
         .fixed = below(15) == 0});
  std::ranges::shuffle(sample.crashes, random);
  RetentionLimits& limits = sample.limits;
  if (below(2) == 0) limits.total_bytes = below(20'000);
  if (below(2) == 0) limits.keep_free = below(5'000), limits.disk_free = below(5'000);
  if (below(2) == 0) limits.floor_bytes = below(10'000);
  if (below(2) == 0) limits.core_age = static_cast<std::int64_t>(below(300)) * kDay;
  if (below(2) == 0) limits.record_age = static_cast<std::int64_t>(below(300)) * kDay;
  limits.user_share = 1 + static_cast<unsigned>(below(100));
  limits.unit_share = 1 + static_cast<unsigned>(below(100));
  sample.staying = PlanRetention(sample.crashes, limits, kNow).staying;
  return sample;
}

/// The store after the first `count` steps. Those that are gone have neither core nor record.
std::vector<KeptCrash> After(std::vector<KeptCrash> crashes, std::span<const RetentionStep> steps) {
  for (const RetentionStep& step : steps) {
    crashes[step.crash].core_bytes = 0;
    if (step.whole) crashes[step.crash].record_bytes = 0;
  }
  return crashes;
}

std::uint64_t Used(std::span<const KeptCrash> crashes) {
  std::uint64_t used = 0;
  for (const KeptCrash& crash : crashes) used += crash.core_bytes + crash.record_bytes;
  return used;
}

/// Bytes of what may go, once `before` has become `now`.
std::uint64_t Movable(const Sample& sample, std::span<const KeptCrash> now) {
  return Used(now) - sample.staying;
}
std::uint64_t Room(const Sample& sample) { return RoomBeside(sample.staying, sample.limits); }

/// Whether what may go is too much, or too little is free.
bool IsOver(const Sample& sample, std::span<const KeptCrash> now) {
  const RetentionLimits& limits = sample.limits;
  const std::uint64_t movable = Movable(sample, now), freed = Used(sample.crashes) - Used(now);
  if (movable > Room(sample)) return true;
  return limits.disk_free < UINT64_MAX && limits.disk_free + freed < limits.keep_free &&
         movable > limits.floor_bytes;
}

class AnyStore : public ::testing::Test {
 protected:
  static constexpr unsigned kSamples = 10'000;

  template <class Check>
  void ForEach(Check check) {
    for (unsigned seed = 0; seed < kSamples && !HasFailure(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const Sample sample = SampleOf(seed);
      check(sample, PlanRetention(sample.crashes, sample.limits, kNow).steps);
    }
  }
};

TEST_F(AnyStore, IsWithinItsLimitsOrHasNothingThatMayGo) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    const auto after = After(sample.crashes, steps);
    if (!IsOver(sample, after)) return;
    for (const KeptCrash& crash : after)
      if (crash.pin == PinKind::kNone && !crash.fixed) {
        EXPECT_EQ(crash.core_bytes + crash.record_bytes, 0u);
      }
  });
}

TEST_F(AnyStore, LosesNothingThatIsPinnedOrFixed) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    for (const RetentionStep& step : steps) {
      EXPECT_NE(sample.crashes[step.crash].pin, PinKind::kByAdministrator);
      EXPECT_FALSE(sample.crashes[step.crash].fixed);
    }
  });
}

TEST_F(AnyStore, LosesNoMoreThanItMust) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (steps[i].why != RetentionReason::kAge) {
        EXPECT_TRUE(IsOver(sample, After(sample.crashes, steps.first(i))));
      }
  });
}

TEST_F(AnyStore, LosesNothingOfTheFloor) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    const std::uint64_t floor = std::min(sample.limits.floor_bytes, sample.limits.total_bytes);
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (steps[i].why != RetentionReason::kAge) {
        EXPECT_GT(Movable(sample, After(sample.crashes, steps.first(i))), floor);
      }
  });
}

TEST_F(AnyStore, LosesNothingForACoreThatHasNoRoomItself) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    const auto has_no_room = [&](const KeptCrash& crash) {
      return crash.core_bytes > Room(sample) && crash.pin == PinKind::kNone && !crash.fixed;
    };
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (steps[i].why != RetentionReason::kAge && steps[i].frees <= Room(sample)) {
        EXPECT_FALSE(std::ranges::any_of(After(sample.crashes, steps.first(i)), has_no_room));
      }
  });
}

TEST_F(AnyStore, LosesNothingTwice) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    std::set<std::size_t> cores, whole;
    for (const RetentionStep& step : steps) {
      EXPECT_FALSE(whole.contains(step.crash)) << "a core after its record";
      EXPECT_TRUE((step.whole ? whole : cores).insert(step.crash).second);
    }
    std::uint64_t freed = 0;
    for (const RetentionStep& step : steps) freed += step.frees;
    EXPECT_EQ(freed, Used(sample.crashes) - Used(After(sample.crashes, steps)));
  });
}

TEST_F(AnyStore, HasNothingToLoseAfterwards) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    auto after = After(sample.crashes, steps);
    RetentionLimits limits = sample.limits;
    if (limits.disk_free < UINT64_MAX) limits.disk_free += Used(sample.crashes) - Used(after);
    if (limits.total_bytes == UINT64_MAX) return;  // shares are then of what there is, which is less now
    // Those that are gone tell no more when others came.
    limits.core_age = limits.record_age = INT64_MAX;
    std::set<std::size_t> gone;
    for (const RetentionStep& step : steps)
      if (step.whole) gone.insert(step.crash);
    std::vector<KeptCrash> left;
    for (std::size_t i = 0; i < after.size(); ++i)
      if (!gone.contains(i)) left.push_back(after[i]);
    const auto more = PlanRetention(left, limits, kNow).steps;
    EXPECT_THAT(Texts(left, more), IsEmpty());
  });
}

TEST_F(AnyStore, LosesTheSameInWhateverOrderItIsGiven) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    auto sorted = sample.crashes;
    std::ranges::sort(sorted, {}, &KeptCrash::id);
    EXPECT_EQ(Texts(sorted, PlanRetention(sorted, sample.limits, kNow).steps), Texts(sample.crashes, steps));
  });
}

TEST_F(AnyStore, KeepsTheFirstAndTheNewestLongest) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    const RetentionLimits& limits = sample.limits;
    for (std::size_t at = 0; at < steps.size(); ++at) {
      const RetentionStep& step = steps[at];
      if (step.why == RetentionReason::kAge || step.whole || step.frees > Room(sample)) continue;
      const auto before = After(sample.crashes, steps.first(at));
      std::map<std::uint64_t, std::vector<const KeptCrash*>> groups;
      std::map<std::uint64_t, std::uint64_t> users, units;
      for (const KeptCrash& crash : before) {
        if (crash.core_bytes > 0) groups[crash.group].push_back(&crash);
        users[crash.user] += crash.core_bytes + crash.record_bytes;
        units[crash.unit] += crash.core_bytes + crash.record_bytes;
      }
      const std::uint64_t all = limits.total_bytes == UINT64_MAX ? Used(sample.crashes) : limits.total_bytes;
      const auto is_above = [&](const KeptCrash& crash) {
        return users[crash.user] > all * limits.user_share / 100 ||
               (crash.unit != 0 && units[crash.unit] > all * limits.unit_share / 100);
      };
      const auto is_middle = [&](const KeptCrash& crash) {
        auto group = groups[crash.group];
        const auto order = [](const KeptCrash* one) { return std::tuple(one->number, one->time, one->id); };
        std::ranges::sort(group, {}, order);
        return group.front()->id != crash.id && group.back()->id != crash.id;
      };
      const KeptCrash& taken = before[step.crash];
      if (is_middle(taken)) continue;
      for (const KeptCrash& crash : before)
        if (crash.core_bytes > 0 && crash.pin == PinKind::kNone && !crash.fixed && is_middle(crash)) {
          EXPECT_TRUE(is_above(taken) && !is_above(crash))
              << crash.id << " was not taken before " << taken.id;
        }
    }
  });
}

TEST_F(AnyStore, LosesRecordsOnlyWhereNoCoreMayGo) {
  ForEach([](const Sample& sample, std::span<const RetentionStep> steps) {
    const bool any_core_left = std::ranges::any_of(After(sample.crashes, steps), [](const KeptCrash& crash) {
      return crash.core_bytes > 0 && crash.pin == PinKind::kNone && !crash.fixed;
    });
    for (const RetentionStep& step : steps)
      if (step.whole && step.why != RetentionReason::kAge) {
        EXPECT_FALSE(any_core_left) << "records outlive cores";
      }
  });
}

KeptCrash OfClass(KeptCrash crash, RetentionClass retention) {
  crash.retention = retention;
  return crash;
}

TEST(Retention, WhatIsShortGoesEarlyAndFirst) {
  const std::vector crashes{Crash(1, 1, 100, 5), OfClass(Crash(2, 2, 100, 5), RetentionClass::kShort),
                            OfClass(Crash(3, 3, 100, 3), RetentionClass::kShort), Crash(4, 4, 100, 2)};
  EXPECT_THAT(Plan(crashes, {.core_age = 30 * kDay, .short_age = 3 * kDay}), ElementsAre("2"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 304}), ElementsAre("2"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 104}), ElementsAre("2", "3", "1"));
  const auto plan = PlanRetention(crashes, {.short_age = 3 * kDay}, kNow);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(DescribeRemoval(plan.steps[0].why, false, {}),
            "it was older than 3 days, and of those that go early");
}

TEST(Retention, WhatIsToBeKeptNeverGrowsOldAndGoesLast) {
  std::vector crashes{OfClass(Crash(1, 1, 100, 400), RetentionClass::kKeep), Crash(2, 2, 100, 5),
                      Crash(3, 3, 100, 4)};
  EXPECT_THAT(Plan(crashes, {.core_age = kDay, .record_age = 180 * kDay, .short_age = 1}),
              ElementsAre("2", "3"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 203}), ElementsAre("2"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 102}), ElementsAre("2", "3", "1"));
  for (KeptCrash& crash : crashes) crash.record_bytes = 50;
  EXPECT_THAT(Plan(crashes, {.total_bytes = 120}), ElementsAre("2", "3", "1", "2!")) << "so does its record";
}

TEST(Retention, WhoeverHasMoreThanHisShareKeepsNothingAtTheCostOfOthers) {
  std::vector crashes{OfClass(Crash(1, 1, 100, 9), RetentionClass::kKeep),
                      OfClass(Crash(2, 2, 100, 8), RetentionClass::kKeep),
                      OfClass(Crash(3, 3, 100, 7), RetentionClass::kKeep), Crash(4, 4, 100, 6)};
  crashes[3].user = 2;
  EXPECT_THAT(Plan(crashes, {.total_bytes = 304, .user_share = 50}), ElementsAre("1"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 304, .user_share = 100}), ElementsAre("4"));
}

TEST(Retention, NorRecords) {
  std::vector crashes{OfClass(Crash(1, 1, 0, 9), RetentionClass::kKeep),
                      OfClass(Crash(2, 2, 0, 8), RetentionClass::kKeep),
                      OfClass(Crash(3, 3, 0, 7), RetentionClass::kKeep), Crash(4, 4, 0, 6)};
  for (KeptCrash& crash : crashes) crash.record_bytes = 100;
  crashes[3].user = 2;
  EXPECT_THAT(Plan(crashes, {.total_bytes = 300, .user_share = 50}), ElementsAre("1!"));
  EXPECT_THAT(Plan(crashes, {.total_bytes = 300, .user_share = 100}), ElementsAre("4!"));
}

}  // namespace
}  // namespace obit
