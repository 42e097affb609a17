#include "policy/crash_sites.h"

#include <deque>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace obit {
namespace {

using Verdict = CrashSites::Verdict;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class CrashSitesTest : public ::testing::Test {
 protected:
  CrashSitesTest() {
    config_.loop_cores = 3;
    config_.loop_bytes = 30 * kMiB;
    config_.loop_events = 2;
    config_.loop_window = std::chrono::seconds(600);
  }

  CrashSites::Judgement Judge(std::int64_t at, const CrashSite& site = {}, std::uint64_t resident = 0) {
    last_ = fmt::format("crash {}", ++crashes_);
    return sites_.Judge({.id = last_,
                         .time = 1'000'000 * kSecond + at * kSecond,
                         .site = site,
                         .now = at * kSecond,
                         .resident = resident,
                         .share = share_.value_or(site.uid),
                         .may_have_core = may_have_core_},
                        config_);
  }
  /// The verdict, and if it was a core what that came to.
  Verdict CrashAt(std::int64_t at, const CrashSite& site = {}, std::uint64_t bytes = kMiB) {
    const auto judgement = Judge(at, site);
    sites_.Ended(judgement.ticket, bytes);
    return judgement.verdict;
  }
  /// The first letters of verdicts.
  std::string Crash(int times, std::int64_t at, const CrashSite& site = {}, std::uint64_t bytes = kMiB) {
    std::string verdicts;
    for (int i = 0; i < times; ++i)
      verdicts += std::array{"C", "e", "L", "."}[static_cast<std::size_t>(CrashAt(at, site, bytes))];
    return verdicts;
  }

  CrashSites sites_{{1, 2}};
  Config config_;
  std::string last_;  // id
  int crashes_ = 0;
  std::optional<uid_t> share_;  // of all sites
  bool may_have_core_ = true;
};

TEST_F(CrashSitesTest, CoresThenEventsThenOnlyCounts) {
  EXPECT_EQ(Crash(9, 100), "CCCeeL...");
  const auto counts = sites_.TakeRepeats();
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].kept_time, 1'000'100 * kSecond);
  EXPECT_EQ(counts[0].repeats.id, "crash 3") << "the last one with a core";
  EXPECT_EQ(counts[0].repeats.crashes, 4u);
  EXPECT_EQ(counts[0].repeats.first, 1'000'100 * kSecond);
  EXPECT_THAT(sites_.TakeRepeats(), IsEmpty());
  EXPECT_EQ(Crash(1, 130), ".");
  EXPECT_EQ(sites_.TakeRepeats().at(0).repeats.crashes, 5u);
}

TEST_F(CrashSitesTest, EachWindowBeginsAnew) {
  EXPECT_EQ(Crash(7, 100), "CCCeeL.");
  EXPECT_EQ(Crash(1, 699), ".");
  EXPECT_EQ(Crash(7, 700), "CCCeeL.");
  const auto counts = sites_.TakeRepeats();
  ASSERT_EQ(counts.size(), 2u) << "the first window's is told in the end";
  EXPECT_EQ(counts[0].repeats.id, "crash 3");
  EXPECT_EQ(counts[0].repeats.crashes, 3u);
  EXPECT_EQ(counts[1].repeats.id, "crash 11");
}

TEST_F(CrashSitesTest, TheFirstHasACoreOfAnySizeAndTheOthersShareWhatIsLeft) {
  EXPECT_EQ(Crash(6, 100, {}, 31 * kMiB), "CeeeeL") << "no room; but five records, as at any site";
  EXPECT_EQ(Crash(4, 100, {.offset = 1}, 15 * kMiB), "CCee") << "the third might be as large as they were";
  EXPECT_EQ(Crash(4, 100, {.offset = 2}, 10 * kMiB), "CCCe");
}

TEST_F(CrashSitesTest, WhatIsUnderWayHasItsPart) {
  const auto first = Judge(100);
  const auto second = Judge(100);
  EXPECT_EQ(Judge(100).verdict, Verdict::kCore) << "10 MiB each";
  EXPECT_EQ(Judge(100).verdict, Verdict::kEvent);

  EXPECT_EQ(Judge(100, {.offset = 1}, 100 * kMiB).verdict, Verdict::kCore) << "it may come to 25 MiB";
  EXPECT_EQ(Judge(100, {.offset = 1}, 100 * kMiB).verdict, Verdict::kEvent) << "so this one has no room";
  sites_.Ended(first.ticket, 1);
  sites_.Ended(second.ticket, 0);
  EXPECT_EQ(Judge(100).verdict, Verdict::kCore) << "the second one got none";
  EXPECT_EQ(Judge(100).verdict, Verdict::kLoopBegins);
}

TEST_F(CrashSitesTest, AProcessWithMoreMemoryMayComeToMoreThanAnyBefore) {
  EXPECT_EQ(Crash(1, 100, {}, kMiB), "C");
  EXPECT_EQ(Judge(100, {}, 120 * kMiB).verdict, Verdict::kEvent) << "30 MiB, and there is 1";
  EXPECT_EQ(Judge(100, {}, 116 * kMiB).verdict, Verdict::kCore);
}

TEST_F(CrashSitesTest, CapturesThatFailAreMadeGoodButNotAllAtOnce) {
  for (int i = 0; i < 5; ++i) sites_.Failed(Judge(100).ticket);
  EXPECT_EQ(Crash(2, 109), "L.");
  EXPECT_EQ(Crash(2, 110), "C.");
  sites_.Failed(Judge(120).ticket);
  EXPECT_EQ(Crash(2, 130), "C.");
  EXPECT_EQ(Crash(2, 140), "C.");
  EXPECT_EQ(Crash(2, 150), "..") << "it has its cores";
}

TEST_F(CrashSitesTest, WhatMayHaveNoCoreTakesNone) {
  may_have_core_ = false;
  EXPECT_EQ(Crash(1, 100), "e");
  may_have_core_ = true;
  EXPECT_EQ(Crash(5, 100), "CCCeL");
}

TEST_F(CrashSitesTest, SaysWhyThereIsNoCore) {
  EXPECT_EQ(Crash(3, 100), "CCC");
  auto judgement = Judge(100);
  EXPECT_EQ(judgement.bound, CrashSites::Bound::kCores);
  EXPECT_EQ(judgement.like, "crash 3");
  EXPECT_EQ(judgement.state.bytes, 3 * kMiB);
  EXPECT_EQ(judgement.state.promised, 0u);
  (void)Judge(100, {.offset = 1}, 120 * kMiB);
  judgement = Judge(100, {.offset = 1});
  EXPECT_EQ(judgement.bound, CrashSites::Bound::kBytes);
  EXPECT_EQ(judgement.state.bytes, 0u);
  EXPECT_EQ(judgement.state.promised, 30 * kMiB);
  EXPECT_EQ(Crash(2, 100), "eL");
  sites_.Forget("crash 3");
  judgement = Judge(100);
  EXPECT_EQ(judgement.bound, CrashSites::Bound::kRecords);
  EXPECT_EQ(judgement.like, "");
}

TEST_F(CrashSitesTest, WhereTheFirstGotNoCoreTheNextMayHaveAnySize) {
  sites_.Ended(Judge(100).ticket, 0);
  EXPECT_EQ(Judge(100, {}, 1000 * kMiB).verdict, Verdict::kCore);
  EXPECT_EQ(Judge(100, {}, 1000 * kMiB).verdict, Verdict::kEvent);
}

TEST_F(CrashSitesTest, WhatGetsNoCoreIsNoLessBounded) {
  EXPECT_EQ(Crash(8, 100, {}, 0), "CCCCCL..") << "five records, as any site has";
}

TEST_F(CrashSitesTest, WhatWasNotEvenRecordedTakesNothing) {
  for (int i = 0; i < 20; ++i) {
    const auto judgement = Judge(100);
    EXPECT_EQ(judgement.verdict, Verdict::kCore);
    sites_.Withdraw(judgement.ticket, last_);
  }
  EXPECT_EQ(Crash(7, 100), "CCCeeL.");
}

TEST_F(CrashSitesTest, WhereNothingIsLeftTheNextOneIsRecorded) {
  EXPECT_EQ(Crash(8, 100), "CCCeeL..");
  sites_.Forget("another");
  sites_.Forget("");
  EXPECT_EQ(Crash(1, 100), ".");
  sites_.Forget("crash 3");
  EXPECT_EQ(Crash(3, 100), "e..") << "and has no core: whoever removed one would get the next";
  const auto counts = sites_.TakeRepeats();
  ASSERT_EQ(counts.size(), 2u);
  EXPECT_EQ(counts[0].repeats.crashes, 4u);
  EXPECT_EQ(counts[1].repeats.id, "crash 10");
  EXPECT_EQ(counts[1].repeats.crashes, 2u);
}

TEST_F(CrashSitesTest, SitesAreCountedApart) {
  EXPECT_EQ(Crash(6, 100), "CCCeeL");
  const CrashSite sites[] = {{.uid = 1},
                             {.privileged = true},
                             {.wants_core = false},
                             {.service = "a"},
                             {.signal = 6},
                             {.program = {.inode = 1}},
                             {.program = {.written_ns = 1}},
                             {.program = {.made_ns = 1}},
                             {.module_inode = 1},
                             {.offset = 1}};
  for (const CrashSite& site : sites) EXPECT_EQ(Crash(6, 101, site), "CCCeeL");
  EXPECT_EQ(Crash(1, 102), ".");
}

TEST_F(CrashSitesTest, NamesAndCallersMakeAFewVariantsAndNoMore) {
  std::string all;
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(
        Crash(6, 100, i % 2 == 0 ? CrashSite{.comm = fmt::format("name {}", i)} : CrashSite{.callers = i}),
        "CCCeeL");
  }
  for (std::uint64_t i = 10; i < 1000; ++i)
    all += Crash(1, 100, {.comm = fmt::format("name {}", i), .callers = i});
  EXPECT_EQ(all.find_first_not_of('.'), std::string::npos) << "all others are counted with the first";
  EXPECT_EQ(Crash(1, 100, {.comm = "name 0"}), ".");
  EXPECT_EQ(Crash(1, 100, {.callers = 7}), ".");
  EXPECT_EQ(sites_.TakeRepeats().size(), 8u);
}

TEST_F(CrashSitesTest, TheVariantsOfOneWindowAreNoneOfTheNext) {
  for (std::uint64_t i = 0; i < 8; ++i)
    EXPECT_EQ(Crash(6, 100 + 50 * static_cast<int>(i), {.callers = i}), "CCCeeL");
  EXPECT_EQ(Crash(6, 700, {.callers = 5}), "CCCeeL") << "the first one now";
  for (const std::uint64_t i : {90, 91, 92, 93, 94, 95, 6})
    EXPECT_EQ(Crash(6, 701, {.callers = i}), "CCCeeL");
  EXPECT_EQ(Crash(3, 702, {.callers = 7}), "...") << "there are eight";
}

TEST_F(CrashSitesTest, NoCoresAreNoLimit) {
  config_.loop_cores = 0;
  EXPECT_EQ(Crash(500, 100), std::string(500, 'C'));
}

TEST_F(CrashSitesTest, AWindowThatLastsTooLongIsAnEarlierBoots) {
  EXPECT_EQ(Crash(6, 100'000), "CCCeeL");
  EXPECT_EQ(Crash(6, 100), "CCCeeL");
}

TEST_F(CrashSitesTest, AnotherOneGoesOnWhereItWas) {
  EXPECT_EQ(Crash(6, 100, {.offset = 5}), "CCCeeL");
  EXPECT_EQ(Crash(2, 100), "CC");
  EXPECT_EQ(Crash(8, 100, {.offset = 6}), "CCCeeL..");
  (void)sites_.TakeRepeats();
  std::vector<SiteState> states(5);
  sites_.TakeChanged([&](std::uint32_t index, const SiteState& state) { states.at(index) = state; });
  sites_.TakeChanged([&](std::uint32_t, const SiteState&) { ADD_FAILURE() << "nothing has changed since"; });
  CrashSites next({1, 2});
  std::swap(sites_, next);
  sites_.Restore(states);
  EXPECT_EQ(Crash(1, 200, {.offset = 6}), ".");
  EXPECT_EQ(sites_.TakeRepeats().at(0).repeats.crashes, 4u) << "of all";
  EXPECT_EQ(Crash(5, 200), "CeeL.");
  EXPECT_EQ(Crash(1, 200, {.offset = 7}), "C");
  EXPECT_EQ(Crash(1, 200, {.offset = 5}), ".");
  states.clear();
  sites_.TakeChanged([&](std::uint32_t index, const SiteState& state) {
    EXPECT_NE(state.key, 0u);
    EXPECT_LT(index, 6u);
  });
}

TEST_F(CrashSitesTest, WhatWasUnderWayIsPromisedNoLonger) {
  (void)Judge(100, {}, 200 * kMiB);
  EXPECT_EQ(Judge(100).verdict, Verdict::kEvent);
  std::vector<SiteState> states(1);
  sites_.TakeChanged([&](std::uint32_t index, const SiteState& state) { states.at(index) = state; });
  sites_.Restore(states);
  EXPECT_EQ(Crash(4, 100), "CCeL") << "but it is one of three";
}

TEST_F(CrashSitesTest, StatesThatMakeNoSenseAreNoStates) {
  std::vector<SiteState> states(CrashSites::kStatesMax + 10);
  for (SiteState& state : states)
    state = {.key = 7, .until = 1000 * kSecond, .bytes = UINT64_MAX, .share = 5};
  sites_.Restore(states);
  for (std::uint64_t i = 0; i < 2 * CrashSites::kStatesMax; ++i) EXPECT_EQ(Crash(1, 100, {.offset = i}), "C");
}

TEST_F(CrashSitesTest, WhoeverMakesMostSitesForgetsHisOwn) {
  EXPECT_EQ(Crash(6, 100, {.uid = 1}), "CCCeeL");
  EXPECT_EQ(Crash(6, 100, {.uid = 2}), "CCCeeL");
  for (std::uint64_t i = 0; i < 3 * CrashSites::kStatesMax; ++i)
    EXPECT_EQ(Crash(1, 101, {.uid = 2, .offset = i + 1}), "C");
  EXPECT_EQ(Crash(1, 102, {.uid = 1}), ".");
  EXPECT_EQ(Crash(1, 102, {.uid = 2}), "C") << "long forgotten";
  EXPECT_EQ(sites_.TakeRepeats().size(), 2u) << "but for its count";
  for (std::uint64_t i = 0; i < CrashSites::kStatesMax / 2; ++i)
    EXPECT_EQ(Crash(1, 800, {.uid = 3, .offset = i}), "C");
  EXPECT_EQ(Crash(1, 801, {.uid = 3}), "C") << "those that were over went first";
}

TEST_F(CrashSitesTest, WhereEachHasOneStateAnyMayBeForgottenButThatOfTheSite) {
  for (std::uint64_t i = 0; i < CrashSites::kStatesMax; ++i)
    EXPECT_EQ(Crash(1, 100, {.uid = static_cast<uid_t>(i)}), "C");
  for (std::uint64_t i = 1; i < 5; ++i)
    EXPECT_EQ(Crash(1, 101, {.uid = CrashSites::kStatesMax - 1, .callers = i}), "C");
  EXPECT_EQ(Crash(1, 101, {.uid = CrashSites::kStatesMax + 9}), "C");
}

TEST_F(CrashSitesTest, UidsOfOneShareForgetEachOthersSites) {
  EXPECT_EQ(Crash(6, 100, {.uid = 200'000}), "CCCeeL");
  share_ = 100'000;
  for (std::uint64_t i = 0; i < 2 * CrashSites::kStatesMax; ++i)
    EXPECT_EQ(Crash(1, 101, {.uid = static_cast<uid_t>(100'000 + i)}), "C");
  share_.reset();
  EXPECT_EQ(Crash(1, 102, {.uid = 200'000}), ".");
}

/// Whatever comes, and whatever comes of it.
class AnyCrashes : public CrashSitesTest, public ::testing::WithParamInterface<int> {
 protected:
  std::uint64_t Below(std::uint64_t end) {
    seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
    return (seed_ >> 33) % end;
  }
  std::uint64_t seed_ = static_cast<std::uint64_t>(GetParam());
};

TEST_P(AnyCrashes, NoWindowHasMoreThanItsBoundsAndAllIsCounted) {
  config_.loop_cores = static_cast<unsigned>(1 + Below(5));
  config_.loop_events = static_cast<unsigned>(Below(6));
  struct Window {
    std::uint64_t cores = 0, records = 0, bytes = 0, promised = 0, failed = 0;
  };
  std::map<std::uint64_t, Window> windows;  // by the state and the end of its window
  struct UnderWay {
    CrashSites::Ticket ticket;
    std::uint64_t window = 0, resident = 0;
  };
  std::deque<UnderWay> under_way;
  std::uint64_t counted = 0;
  std::map<std::string, std::uint64_t> told;
  std::int64_t now = 1;
  const auto end_one = [&] {
    const auto one = under_way.begin() + static_cast<std::ptrdiff_t>(Below(under_way.size()));
    const std::uint64_t bytes = Below(3) == 0 ? 0 : Below(one->resident / 4 + 1);
    Window& window = windows[one->window];
    window.promised -= one->ticket.promised;
    if (bytes == 0 && Below(2) == 0) {
      sites_.Failed(one->ticket);
      ++window.failed;
    } else {
      sites_.Ended(one->ticket, bytes);
    }
    if (bytes == 0) --window.cores;
    window.bytes += bytes;
    under_way.erase(one);
  };
  for (int i = 0; i < 3000; ++i) {
    now += static_cast<std::int64_t>(Below(Below(100) == 0 ? 700 : 2));
    const CrashSite site{.offset = Below(2), .comm = std::string(1, static_cast<char>('a' + Below(12)))};
    const std::uint64_t resident = Below(200) * kMiB;
    const auto judgement = Judge(now, site, resident);
    const std::uint64_t key = judgement.state.key ^ static_cast<std::uint64_t>(judgement.state.until);
    Window& window = windows[key];
    if (judgement.verdict == Verdict::kCore) {
      ++window.cores;
      EXPECT_TRUE(window.cores == 1 ||
                  window.bytes + window.promised + judgement.ticket.promised <= config_.loop_bytes);
      window.promised += judgement.ticket.promised;
      ++window.records;
      under_way.push_back({judgement.ticket, key, resident});
    } else if (judgement.verdict == Verdict::kEvent) {
      ++window.records;
    } else {
      ++counted;
    }
    EXPECT_LE(window.cores, config_.loop_cores);
    EXPECT_LE(window.records, config_.loop_cores + config_.loop_events + window.failed);
    while (under_way.size() > Below(6)) end_one();
    if (Below(10) == 0)
      for (const auto& count : sites_.TakeRepeats()) told[count.repeats.id] = count.repeats.crashes;
  }
  for (const auto& count : sites_.TakeRepeats()) told[count.repeats.id] = count.repeats.crashes;
  std::uint64_t all = 0;
  for (const auto& [id, crashes] : told) all += crashes;
  EXPECT_EQ(all, counted);
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyCrashes, ::testing::Range(1, 40));

class CrashSitesDoorTest : public CrashSitesTest {
 protected:
  /// A site whose crashes are only counted; one was.
  CrashSites::Whereabouts Counted(const CrashSite& site = {}) {
    for (;;)
      if (const auto judgement = Judge(0, site); judgement.verdict == Verdict::kCount) return judgement.at;
  }
  std::uint64_t Repeats() {
    std::uint64_t all = 0;
    for (const RepeatsOfKept& one : sites_.TakeRepeats()) all += one.repeats.crashes;
    return all;
  }
  void GoOnWithAnother() {
    sites_.TakeChanged([&](std::uint32_t index, const SiteState& site) {
      states_.resize(std::max<std::size_t>(states_.size(), index + 1));
      states_[index] = site;
    });
    sites_.Restore(states_);
  }
  std::vector<SiteState> states_;
};

TEST_F(CrashSitesDoorTest, WhatIsCountedElsewhereIsARepeat) {
  sites_.SendToDoor(Counted(), 3, 100);
  const std::uint64_t before = Repeats();
  EXPECT_EQ(sites_.CountedAtDoor(3, 100, 5), 0U);
  EXPECT_EQ(sites_.CountedAtDoor(3, 107, 5), 7U);
  EXPECT_EQ(sites_.CountedAtDoor(3, 107, 5), 0U);
  EXPECT_EQ(Repeats(), before + 7);
}

TEST_F(CrashSitesDoorTest, APlaceIsOfOneSiteAtATime) {
  sites_.SendToDoor(Counted({.offset = 1}), 3, 0);
  (void)sites_.CountedAtDoor(3, 10, 5);
  sites_.SendToDoor(Counted({.offset = 2}), 3, 10);
  (void)Repeats();
  EXPECT_EQ(sites_.CountedAtDoor(3, 11, 5), 1U);
  const auto counts = sites_.TakeRepeats();
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].repeats.last, 5);
  GoOnWithAnother();
  EXPECT_EQ(sites_.CountedAtDoor(3, 12, 5), 1U) << "of the second alone";
}

TEST_F(CrashSitesDoorTest, ASiteHasOnePlaceAtATime) {
  const auto at = Counted();
  sites_.SendToDoor(at, 3, 0);
  sites_.SendToDoor(at, 4, 0);
  (void)Repeats();
  (void)sites_.CountedAtDoor(3, 10, 5);
  EXPECT_EQ(Repeats(), 0U);
}

TEST_F(CrashSitesDoorTest, OfAWindowThatIsOverItIsNobodys) {
  const auto at = Counted();
  sites_.SendToDoor(at, 3, 0);
  EXPECT_EQ(sites_.UntilOf(at), 600 * kSecond);
  (void)Judge(600);
  EXPECT_EQ(sites_.UntilOf(at), 0);
  (void)Repeats();
  EXPECT_EQ(sites_.CountedAtDoor(3, 10, 5), 10U);
  EXPECT_EQ(Repeats(), 0U);
  sites_.SendToDoor(at, 4, 0);
  EXPECT_EQ(sites_.CountedAtDoor(4, 10, 5), 10U);
  EXPECT_EQ(Repeats(), 0U);
}

TEST_F(CrashSitesDoorTest, AnotherKnowsWhatOfItIsCounted) {
  sites_.SendToDoor(Counted(), 3, 100);
  (void)sites_.CountedAtDoor(3, 110, 5);
  const std::uint64_t before = Repeats();
  GoOnWithAnother();
  EXPECT_EQ(sites_.CountedAtDoor(3, 130, 6), 20U);
  EXPECT_EQ(Repeats(), before + 20);
}

TEST_F(CrashSitesDoorTest, WhateverStandsThereIsTaken) {
  (void)Counted();
  GoOnWithAnother();
  states_[0].door_place = UINT32_MAX;
  sites_.Restore(states_);
  sites_.SendToDoor(Counted(), 3, 5);
  EXPECT_EQ(sites_.CountedAtDoor(3, 6, 6), 1U);
}

TEST_F(CrashSitesDoorTest, TwoThatClaimOnePlaceDoNotShareIt) {
  (void)Counted({.offset = 1});
  (void)Counted({.offset = 2});
  GoOnWithAnother();
  states_[0].door_place = states_[1].door_place = 4;
  sites_.Restore(states_);
  (void)Repeats();
  EXPECT_EQ(sites_.CountedAtDoor(3, 5, 6), 5U);
  const auto counts = sites_.TakeRepeats();
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].repeats.id, states_[0].kept());
}

TEST_F(CrashSitesDoorTest, WhatCannotBeIsNotCounted) {
  sites_.SendToDoor(Counted(), 3, 100);
  (void)Repeats();
  EXPECT_EQ(sites_.CountedAtDoor(3, UINT64_MAX, 5), 0U);
  EXPECT_EQ(Repeats(), 0U);
  EXPECT_EQ(sites_.CountedAtDoor(3, 2, 5), 3U) << "and counts on from there, modulo 2^64";
}

}  // namespace
}  // namespace obit
