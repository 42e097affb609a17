#include "manager/door.h"

#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

/// A crash loop of one site, of which one crash is kept.
class DoorTest : public testing::ManagerTest {
 protected:
  DoorTest() {
    setup_.config.loop_cores = 1;
    setup_.config.loop_events = 0;
    setup_.inspectors = 2;
    setup_.workers = 1;
  }
  void Begin() {
    Start();
    (void)See();
    (void)Next();
    (void)Facts(1);
    (void)Ends(1);
    (void)On(event::SeatReady{Worker(0)});
    (void)On(event::OrderDone{1});
  }
  /// One more crash, from its arrival to the site that is found; what was wanted of that.
  Lines Next(std::uint64_t glance = 7, std::uint64_t offset = 1) {
    const CrashKey key = ++crash_;
    std::uint32_t inspector = 0;
    for (const std::string& line : Arrives(key))
      if (line.ends_with("inspector 1")) inspector = 1;
    (void)Requests(key);
    const CrashSite site{.signal = 11, .offset = offset, .comm = "a"};
    Lines lines = On(event::SiteFound{key, Inspector(inspector), site, now_, 0, glance});
    (void)On(event::ProcessExited{key});
    now_ += 1'000'000;
    return lines;
  }
  /// So many, and what they brought about.
  Lines Repeat(int times) {
    Lines all;
    for (int i = 0; i < times; ++i)
      for (std::string& line : Next()) all.push_back(std::move(line));
    return all;
  }
  Lines See(std::uint64_t crashes = 0, bool moves = true) {
    event::DoorSeen seen{.moves = moves};
    seen.places[0] = {crashes, 99};
    return On(seen);
  }

  CrashKey crash_ = 0;
};

TEST_F(DoorTest, OpensWhenASiteIsOftenCounted) {
  Begin();
  for (std::uint64_t i = 1; i < Door::kOften; ++i) EXPECT_THAT(Next(), Not(Contains(StartsWith("TurnAway"))));
  const Lines lines = Next();
  EXPECT_THAT(lines, Contains("TurnAway 7 at 0"));
  EXPECT_THAT(lines, Contains("KeepDoor inspector 0"));
}

TEST_F(DoorTest, IsNotForCrashesThatComeSlowly) {
  Begin();
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(Next(), Not(Contains(StartsWith("TurnAway"))));
    (void)After(30ms);
  }
}

TEST_F(DoorTest, NorForThoseThatNoGlanceTells) {
  Begin();
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Next(0), Not(Contains(StartsWith("TurnAway"))));
}

TEST_F(DoorTest, IsNotOpenedBeforeItIsKnownWhatWasCountedThere) {
  Start();
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Next(), Not(Contains(StartsWith("TurnAway"))));
}

TEST_F(DoorTest, TheLastInspectorDoesNotGoThere) {
  setup_.inspectors = 1;
  Begin();
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Next(), Not(Contains(StartsWith("TurnAway"))));
}

TEST_F(DoorTest, WhatIsCountedThereIsARepeat) {
  Begin();
  (void)Repeat(8);
  EXPECT_THAT(After(100ms), ElementsAre("LookAtDoor"));
  (void)See(500);
  (void)manager_->TakeRepeats();
  (void)See(520);
  const auto repeats = manager_->TakeRepeats();
  ASSERT_EQ(repeats.size(), 1U);
  EXPECT_EQ(repeats[0].repeats.crashes, 528U);
  EXPECT_EQ(repeats[0].repeats.last, 99);
}

TEST_F(DoorTest, AMomentLaterOneCrashShowsThatItGoesOn) {
  Begin();
  (void)Repeat(8);
  (void)After(100ms);
  (void)See(500);
  const Lines lines = Next();
  EXPECT_THAT(lines, Contains("TurnAway 7 at 0"));
  EXPECT_THAT(lines, Not(Contains(StartsWith("KeepDoor")))) << "somebody is there";
}

TEST_F(DoorTest, OtherSitesHaveOtherPlaces) {
  Begin();
  (void)Repeat(8);
  (void)Next(8, 2);  // kept
  (void)Facts(crash_, 1);
  Lines lines;
  for (int i = 0; i < 8; ++i) lines = Next(8, 2);
  EXPECT_THAT(lines, Contains("TurnAway 8 at 1"));
}

TEST_F(DoorTest, OfSitesThatLookTheSameNoneIsTurnedAway) {
  Begin();
  (void)Repeat(8);
  EXPECT_THAT(Next(7, 2), Contains("TurnAway 7 at 0")) << "no more";
  (void)Facts(crash_, 1);
  EXPECT_THAT(Repeat(20), Not(Contains(StartsWith("TurnAway"))));
}

TEST_F(DoorTest, WhatMayBeKeptIsNotTurnedAway) {
  Begin();
  (void)Repeat(8);
  EXPECT_THAT(On(event::KeptIsGone{"crash1"}), ElementsAre("TurnAway 7 at 0"));
  EXPECT_THAT(On(event::KeptIsGone{"crash1"}), IsEmpty()) << "once";
  (void)Next();  // kept
  (void)Facts(crash_, 1);
  EXPECT_THAT(Repeat(8), Contains("TurnAway 7 at 0"));
  EXPECT_THAT(On(event::Configured{setup_.config, setup_.limits}), Contains("TurnAway 7 at 0"));
}

TEST_F(DoorTest, WhoHasLeftIsFree) {
  Begin();
  (void)Repeat(8);
  EXPECT_THAT(On(event::DoorLeft{Inspector(0)}), ElementsAre("LookAtDoor"));
  (void)See(3);
  EXPECT_EQ(manager_->NextDeadline(), INT64_MAX);
  EXPECT_THAT(Repeat(8), Contains("KeepDoor inspector 0"));
}

TEST_F(DoorTest, WhoDoesNotMoveIsKilled) {
  Begin();
  (void)Repeat(8);
  Lines lines;
  for (int i = 0; i < 6; ++i) {
    for (std::string& line : After(100ms)) lines.push_back(std::move(line));
    (void)See(0, /*moves=*/false);
  }
  EXPECT_THAT(lines, Contains("Kill inspector 0"));
  EXPECT_THAT(On(event::SeatLost{Inspector(0), "died"}), ElementsAre("LookAtDoor")) << "what he had counted";
}

TEST_F(DoorTest, SoIsWhoStaysWithNothingToDo) {
  Begin();
  (void)Repeat(8);
  Lines lines;
  for (int i = 0; i < 10; ++i) {
    for (std::string& line : After(100ms)) lines.push_back(std::move(line));
    (void)See(static_cast<std::uint64_t>(i));
  }
  EXPECT_THAT(lines, Contains("Kill inspector 0"));
}

TEST_F(DoorTest, StoppingWaitsForWhatIsCountedThere) {
  Begin();
  (void)Repeat(8);
  EXPECT_THAT(On(event::Stopping{}), ElementsAre("LeaveDoor inspector 0"));
  EXPECT_THAT(On(event::DoorLeft{Inspector(0)}), ElementsAre("LookAtDoor"));
  EXPECT_THAT(See(9), ElementsAre("Stopped"));
  EXPECT_EQ(manager_->TakeRepeats().at(0).repeats.crashes, 17U);
}

TEST_F(DoorTest, ItsSuccessorCountsWhatItDidNotSee) {
  Begin();
  (void)Repeat(8);
  (void)See(10);
  setup_.sites.clear();
  manager_->TakeSites([&](std::uint32_t index, const SiteState& site) {
    setup_.sites.resize(index + 1);
    setup_.sites[index] = site;
  });
  Start();
  (void)See(25);
  EXPECT_EQ(manager_->TakeRepeats().at(0).repeats.crashes, 33U);
}

}  // namespace
}  // namespace obit
