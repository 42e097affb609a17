#include "policy/crash_loop.h"

#include <gmock/gmock.h>

namespace obit {
namespace {

using Verdict = CrashLoops::Verdict;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kSecond = 1'000'000'000;

class CrashLoopTest : public ::testing::Test {
 protected:
  CrashLoopTest() {
    config_.loop_crashes = 3;
    config_.loop_window = std::chrono::seconds(600);
    config_.loop_interval = std::chrono::seconds(3600);
    config_.loop_storm = std::chrono::seconds(10);
  }

  /// A crash at `at` s of a process that started at `started` s.
  Verdict CrashAt(std::int64_t at, std::int64_t started, const CrashSite& site = {}) {
    ++crashes_;
    return loops_.Judge({.id = "crash " + std::to_string(crashes_),
                         .time = 1'000'000 * kSecond + at * kSecond,
                         .site = site,
                         .started = started * kSecond,
                         .now = at * kSecond},
                        config_);
  }
  /// A process that is started anew each second from `from` s to `to` s and crashes at once: how many were
  /// kept.
  int LoopFrom(std::int64_t from, std::int64_t to) {
    int kept = 0;
    for (std::int64_t at = from; at < to; ++at) kept += CrashAt(at, at) == Verdict::kKeep ? 1 : 0;
    return kept;
  }

  CrashLoops loops_;
  Config config_;
  int crashes_ = 0;
};

TEST_F(CrashLoopTest, KeepsTheFirstAndCountsTheOthers) {
  EXPECT_EQ(CrashAt(100, 0), Verdict::kKeep);
  EXPECT_EQ(CrashAt(120, 111), Verdict::kKeep);
  EXPECT_EQ(CrashAt(130, 121), Verdict::kKeep);
  EXPECT_THAT(loops_.TakeChanged(), IsEmpty());
  EXPECT_EQ(CrashAt(140, 131), Verdict::kLoopBegins);
  EXPECT_EQ(CrashAt(150, 141), Verdict::kCount);

  const auto changed = loops_.TakeChanged();
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].kept_time, 1'000'130 * kSecond);
  EXPECT_EQ(changed[0].repeats.id, "crash 3");
  EXPECT_EQ(changed[0].repeats.crashes, 2u);
  EXPECT_EQ(changed[0].repeats.first, 1'000'140 * kSecond);
  EXPECT_EQ(changed[0].repeats.last, 1'000'150 * kSecond);
  EXPECT_THAT(loops_.TakeChanged(), IsEmpty());

  EXPECT_EQ(CrashAt(151, 150), Verdict::kCount);
  EXPECT_EQ(loops_.TakeChanged()[0].repeats.crashes, 3u);
}

TEST_F(CrashLoopTest, AStormIsNoLoop) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(CrashAt(100, 50), Verdict::kKeep);
  EXPECT_EQ(CrashAt(115, 110), Verdict::kKeep);
  EXPECT_EQ(CrashAt(500, 99), Verdict::kKeep) << "it ran already when the site first crashed";
  EXPECT_EQ(CrashAt(501, 111), Verdict::kLoopBegins);
}

TEST_F(CrashLoopTest, OfEachIntervalOfALoopOneIsKept) {
  EXPECT_EQ(LoopFrom(0, 500), 3 + 8) << "3, of which the first begins a storm of 10 s";
  EXPECT_EQ(LoopFrom(500, 3611), 0);
  EXPECT_EQ(LoopFrom(3611, 3611 + 3600), 1);
  EXPECT_EQ(LoopFrom(3611 + 3600, 3611 + 2 * 3600), 1);
}

TEST_F(CrashLoopTest, ALoopThatHasEndedIsForgotten) {
  (void)LoopFrom(0, 500);
  EXPECT_EQ(CrashAt(3000, 2000), Verdict::kCount);
  EXPECT_EQ(CrashAt(5000, 4000), Verdict::kKeep) << "of the loop, after its first interval";
  EXPECT_EQ(CrashAt(5100, 5050), Verdict::kCount);
  EXPECT_EQ(CrashAt(9000, 5200), Verdict::kKeep) << "there was none to count for an hour";
  EXPECT_EQ(CrashAt(9001, 5200), Verdict::kKeep) << "so it is of a storm";
  EXPECT_EQ(CrashAt(9100, 9050), Verdict::kKeep);
  EXPECT_EQ(CrashAt(9200, 9150), Verdict::kLoopBegins);
}

TEST_F(CrashLoopTest, DaysLaterAStormIsAStorm) {
  (void)LoopFrom(0, 500);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(CrashAt(300'000, 200'000), Verdict::kKeep);
}

TEST_F(CrashLoopTest, WhereNothingIsLeftTheNextOneIsKept) {
  (void)LoopFrom(0, 100);
  loops_.Forget("another");
  EXPECT_EQ(CrashAt(102, 101), Verdict::kCount);
  loops_.Forget(loops_.TakeChanged().at(0).repeats.id);
  EXPECT_EQ(CrashAt(103, 102), Verdict::kKeep);
}

TEST_F(CrashLoopTest, AWindowThatWasNotFullLeavesNothing) {
  for (std::int64_t at = 0; at < 100'000; at += 301) EXPECT_EQ(CrashAt(at, at), Verdict::kKeep) << at;
}

TEST_F(CrashLoopTest, SitesAreCountedApart) {
  (void)LoopFrom(0, 100);
  EXPECT_EQ(CrashAt(101, 100), Verdict::kCount);
  const CrashSite sites[] = {
      {.uid = 1},          {.privileged = true}, {.wants_core = false},     {.service = "a"},
      {.comm = "a"},       {.signal = 6},        {.program = {.inode = 1}}, {.program = {.written_ns = 1}},
      {.module_inode = 1}, {.offset = 1}};
  for (const CrashSite& site : sites) EXPECT_EQ(CrashAt(101, 100, site), Verdict::kKeep);
}

TEST_F(CrashLoopTest, NoLimitIsNone) {
  config_.loop_crashes = 0;
  EXPECT_EQ(LoopFrom(0, 500), 500);
}

TEST_F(CrashLoopTest, KnowsABoundedNumberOfSites) {
  (void)LoopFrom(0, 100);
  const auto visit = [&](std::size_t count, std::int64_t at) {
    for (std::size_t i = 1; i <= count; ++i) EXPECT_EQ(CrashAt(at, 0, {.offset = i}), Verdict::kKeep);
  };
  visit(CrashLoops::kSitesMax - 1, 100);
  EXPECT_EQ(CrashAt(101, 100), Verdict::kCount) << "all have room";
  visit(2 * CrashLoops::kSitesMax, 101);
  EXPECT_EQ(CrashAt(102, 101), Verdict::kCount) << "the loop ends last, so others had to go";
  visit(2 * CrashLoops::kSitesMax, 700);
  EXPECT_EQ(CrashAt(701, 700), Verdict::kCount);
}

}  // namespace
}  // namespace obit
