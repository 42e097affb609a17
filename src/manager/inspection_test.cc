#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::_;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::int64_t kSecond = 1'000'000'000;

class InspectionTest : public testing::ManagerTest {
 protected:
  InspectionTest() { setup_.config.loop_events = 0; }

  /// The same site each time.
  Lines Site(CrashKey crash, std::int64_t at, std::uint32_t inspector = 0) {
    return On(event::SiteFound{crash, Inspector(inspector), CrashSite{.signal = 11, .comm = "looper"},
                               at * kSecond});
  }
  /// Loses both inspectors that user 1000 may have. They die at once.
  void LoseTwo() {
    for (const CrashKey crash : {901, 902}) (void)Arrives(crash);
    (void)After(limits().safe);
    for (const std::uint32_t i : {0, 1}) {
      (void)On(event::SeatLost{Inspector(i), ""});
      (void)On(event::SeatReady{Inspector(i, 2)});
    }
  }
};

TEST_F(InspectionTest, WithTheLimiterTheSiteIsAskedFirst) {
  setup_.config.loop_cores = 3;
  Start();
  EXPECT_THAT(Arrives(1), ElementsAre("AskSite 1 inspector 0"));
  EXPECT_THAT(Site(1, 0), ElementsAre("AskFacts 1 inspector 0"));
  EXPECT_THAT(Arrives(2), ElementsAre("AskSite 2 inspector 1"));
  EXPECT_THAT(On(event::SiteFound{2, Inspector(1)}), ElementsAre("AskFacts 2 inspector 1")) << "no site";
}

TEST_F(InspectionTest, WhatALoopRepeatsIsCountedWithoutFacts) {
  setup_.config.loop_cores = 1;
  Start();
  (void)Arrives(1);
  (void)Site(1, 100);
  (void)Facts(1);
  (void)Arrives(2);
  EXPECT_THAT(Site(2, 200),
              ElementsAre("NoteRepeats 2",
                          "Say looper[100] SIGSEGV: a crash loop: 1 of them are kept, the others are "
                          "counted, for 3501 s at most"));
  EXPECT_THAT(Requests(2), ElementsAre("Answer 2 reject", "Release 2", "Count 2 repeat", "Forget 2"));
  (void)Arrives(3);
  EXPECT_THAT(Requests(3), IsEmpty());
  EXPECT_THAT(Site(3, 201),
              ElementsAre("NoteRepeats 3", "Answer 3 reject", "Release 3", "Count 3 repeat", "Forget 3"))
      << "it is said once";
  ASSERT_EQ(manager_->TakeRepeats().size(), 1u);
}

TEST_F(InspectionTest, BetweenCoresAndCountsThereAreEvents) {
  setup_.config.loop_cores = setup_.config.loop_events = 1;
  Start();
  (void)Arrives(1, 1000, Transport::kPipe);
  (void)Site(1, 100);
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0"));
  (void)On(event::CaptureEnded{.crash = 1, .seat = Worker(0), .stored = true, .core_bytes = 4567});
  (void)Arrives(2);
  (void)Requests(2);
  EXPECT_THAT(Site(2, 101), ElementsAre("AskFacts 2 inspector 0 of an event"));
  EXPECT_THAT(Facts(2), ElementsAre("Answer 2 event"));
  EXPECT_THAT(On(event::MarkRead{2}),
              ElementsAre("Release 2",
                          "Record 2 event: a crash loop: this place of the program has had 1 core, "
                          "of 4567 bytes; like crash1"));
  (void)Arrives(3);
  EXPECT_THAT(Site(3, 102), Contains("NoteRepeats 3"));
}

TEST_F(InspectionTest, WhoeverGotNoCoreLeavesItToTheNext) {
  setup_.config.loop_cores = 1;
  setup_.config.loop_events = 9;
  Start();
  for (CrashKey crash = 1; crash <= 3; ++crash) {
    (void)Arrives(crash, 1000, Transport::kPipe);
    EXPECT_THAT(Site(crash, 100), ElementsAre(fmt::format("AskFacts {} inspector 0", crash)));
    (void)Facts(crash);
    (void)On(event::CaptureEnded{.crash = crash, .seat = Worker(0), .stored = crash == 2});
    (void)On(event::SeatReady{Worker(0)});
  }
}

TEST_F(InspectionTest, AUserHasABudget) {
  setup_.config.user_crashes = 3;
  setup_.config.user_bytes = 1000;
  Start();
  for (const CrashKey crash : {1, 2}) {
    (void)Arrives(crash, 1000, Transport::kPipe);
    EXPECT_THAT(Facts(crash), ElementsAre(fmt::format("StartCapture {} worker 0", crash)));
    (void)On(event::CaptureEnded{.crash = crash, .seat = Worker(0), .stored = true, .core_bytes = 600});
    (void)On(event::SeatReady{Worker(0)});
  }
  (void)Arrives(3, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(3), Contains(HasSubstr("Record 3 event: its user or unit has had")));
  (void)Arrives(4, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(4), ElementsAre("Release 4", "Count 4 over budget"));
  (void)Arrives(5, 1, Transport::kPipe);
  EXPECT_THAT(Facts(5), ElementsAre("StartCapture 5 worker 0"));
}

TEST_F(InspectionTest, CrashesThatEndBeforeTheyAreDecidedTakeTheirBudget) {
  setup_.config.user_crashes = 2;
  Start();
  for (const CrashKey crash : {1, 2}) {
    (void)Arrives(crash);
    EXPECT_THAT(On(event::ConnectionLost{crash, "it was killed"}),
                Contains(fmt::format("Record {} failed: it was killed", crash)));
  }
  (void)Arrives(3);
  EXPECT_THAT(On(event::ConnectionLost{3, "it was killed"}), Contains("Count 3 over budget"));
}

TEST_F(InspectionTest, WhatIsOverItsUnitsBudgetIsCountedWithoutFacts) {
  setup_.config.loop_cores = 1;
  setup_.config.loop_events = 9;
  setup_.config.unit_crashes = 2;
  Start();
  const auto site = [&](CrashKey crash, const char* service, std::uint64_t offset) {
    return On(event::SiteFound{crash, Inspector(0),
                               CrashSite{.service = service, .signal = 11, .offset = offset}, 100 * kSecond});
  };
  for (const CrashKey crash : {1, 2}) {
    (void)Arrives(crash, 1000, Transport::kPipe);
    EXPECT_THAT(site(crash, "a", crash), ElementsAre(fmt::format("AskFacts {} inspector 0", crash)));
    EXPECT_THAT(Facts(crash), ElementsAre(fmt::format("StartCapture {0} worker {1}", crash, crash - 1)));
  }
  for (const CrashKey crash : {3, 4}) {
    (void)Arrives(crash, 1000, Transport::kPipe);
    EXPECT_THAT(site(crash, "a", 3),
                ElementsAre(fmt::format("Release {}", crash), fmt::format("Count {} over budget", crash)));
  }
  (void)Arrives(5, 1, Transport::kPipe);
  EXPECT_THAT(site(5, "a", 3), ElementsAre("AskFacts 5 inspector 0"))
      << "of another user, at a site not used up";
}

TEST_F(InspectionTest, WithoutALimiterTheUnitIsAskedForItsBudget) {
  setup_.config.unit_crashes = 1;
  Start();
  EXPECT_THAT(Arrives(1, 1000, Transport::kPipe), ElementsAre("AskSite 1 inspector 0"));
  EXPECT_THAT(Site(1, 100), ElementsAre("AskFacts 1 inspector 0"));
}

TEST_F(InspectionTest, TheNextManagerKnowsWhatWasKept) {
  setup_.config.loop_cores = 1;
  Start();
  (void)Arrives(1);
  (void)Site(1, 100);
  setup_.sites.resize(1);
  manager_->TakeSites([this](std::uint32_t index, const SiteState& site) { setup_.sites.at(index) = site; });
  Start();
  (void)Arrives(2);
  EXPECT_THAT(Site(2, 200), Contains("NoteRepeats 2"));
}

TEST_F(InspectionTest, ARepeatIsCountedHoweverItEnds) {
  setup_.config.loop_cores = 1;
  Start();
  (void)Arrives(1);
  (void)Site(1, 100);
  (void)Facts(1);
  (void)Arrives(2);
  (void)Site(2, 200);
  EXPECT_THAT(On(event::ConnectionLost{2, "it went"}), ElementsAre("Release 2", "Count 2 repeat"));
  (void)Arrives(3, 1000, Transport::kPipe);
  EXPECT_THAT(Site(3, 201), ElementsAre("NoteRepeats 3", "Release 3", "Count 3 repeat"));
  (void)Arrives(4);
  (void)Requests(4);
  EXPECT_THAT(Site(4, 202), Contains("Count 4 repeat"));
  EXPECT_THAT(On(event::ConnectionLost{4, "the answer could not be sent"}), IsEmpty());
  (void)Arrives(5);
  (void)Site(5, 203);
  EXPECT_THAT(After(limits().exchange), Contains("Count 5 repeat"));
}

TEST_F(InspectionTest, OnlyWhatWasKeptStandsForOthers) {
  setup_.config.loop_cores = 1;
  setup_.config.no_core_limit = Detail::kReject;
  Start();
  (void)Arrives(1, 1000, Transport::kPipe);
  (void)Site(1, 100);
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("Release 1", "Count 1"));
  (void)Arrives(2, 1000, Transport::kPipe);
  EXPECT_THAT(Site(2, 200), ElementsAre("AskFacts 2 inspector 0")) << "the first was not kept";
  EXPECT_THAT(Facts(2), ElementsAre("StartCapture 2 worker 0"));
  (void)Arrives(3, 1000, Transport::kPipe);
  EXPECT_THAT(Site(3, 300), Contains("Count 3 repeat"));
  (void)On(event::KeptIsGone{"crash2"});
  (void)Arrives(4, 1000, Transport::kPipe);
  EXPECT_THAT(Site(4, 400), ElementsAre("AskFacts 4 inspector 0 of an event"));
}

TEST_F(InspectionTest, ASiteThatTakesTooLongCostsTheInspectorAndRiskyFacts) {
  setup_.config.loop_cores = 3;
  Start();
  (void)Arrives(1);
  EXPECT_THAT(After(limits().site - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), ElementsAre(HasSubstr("Say inspector 0 does not answer"), "Kill inspector 0",
                                      "AskSafeFacts 1 inspector 1"));
  EXPECT_THAT(Site(1, 1), IsEmpty()) << "too late";
  EXPECT_THAT(Requests(1), IsEmpty());
  EXPECT_THAT(Facts(1, 1), ElementsAre("StartCapture 1 worker 0"));
}

TEST_F(InspectionTest, FirstFactsHaveOneDeadlineAndTheRestAnother) {
  Start();
  (void)Arrives(1);
  (void)Requests(1);
  EXPECT_THAT(After(limits().safe - 1ns), IsEmpty());
  EXPECT_THAT(On(event::FactsFound{1, Inspector(0), false, 4096}), IsEmpty());
  EXPECT_THAT(After(limits().risky - 1ns), IsEmpty());
  EXPECT_THAT(On(event::FactsFound{1, Inspector(0), false}), IsEmpty()) << "that wins it no time";
  EXPECT_THAT(After(1ns), ElementsAre(_, "Kill inspector 0", "StartCapture 1 worker 0 core_max 4096"))
      << "with what is there";

  (void)Arrives(2);
  (void)Requests(2);
  EXPECT_THAT(After(limits().safe), ElementsAre(_, "Kill inspector 1", "StartCapture 2 worker 1"));
}

TEST_F(InspectionTest, AnInspectorThatDiesIsWaitedForNoLonger) {
  setup_.config.loop_cores = 3;
  Start();
  (void)Arrives(1);
  EXPECT_THAT(On(event::SeatLost{Inspector(0), "died"}), ElementsAre("AskSafeFacts 1 inspector 1"));
  (void)Requests(1);
  EXPECT_THAT(On(event::SeatLost{Inspector(1), "died"}), ElementsAre("StartCapture 1 worker 0"));
}

TEST_F(InspectionTest, OneThatDoesNotDieIsLeftBehind) {
  Start();
  (void)Arrives(1);
  (void)After(limits().safe);
  EXPECT_THAT(After(limits().die - 1ns), Not(Contains("LeaveBehind inspector 0")));
  EXPECT_THAT(After(1ns), Contains("LeaveBehind inspector 0"));
  EXPECT_EQ(manager_->load().left_behind, 1u);
  (void)On(event::SeatReady{Inspector(0, 2)});
  EXPECT_THAT(Arrives(2, 1), ElementsAre("AskFacts 2 inspector 0.2"));
  (void)On(event::SeatLost{Inspector(0), "died"});
  EXPECT_EQ(manager_->load().left_behind, 0u);
  EXPECT_THAT(On(event::FactsFound{2, Inspector(0, 2), true}), IsEmpty());
  EXPECT_THAT(Arrives(3, 1), ElementsAre("AskFacts 3 inspector 0.2")) << "who died was another";
}

TEST_F(InspectionTest, NoMoreAreLeftBehindThanMayBe) {
  setup_.limits.left_behind = 1;
  Start();
  for (const CrashKey crash : {1, 2}) {
    (void)Arrives(crash, crash);
    (void)On(event::ProcessExited{crash});
  }
  (void)After(limits().safe);
  EXPECT_THAT(After(limits().die), Contains("LeaveBehind inspector 0"));
  EXPECT_THAT(After(limits().die * 10), Not(Contains("LeaveBehind inspector 1")));
  (void)On(event::SeatLost{Inspector(0), ""});
  EXPECT_THAT(After(limits().die), Contains("LeaveBehind inspector 1"));
}

TEST_F(InspectionTest, AUserHasHalfOfTheInspectors) {
  Start();
  EXPECT_THAT(Arrives(1), ElementsAre("AskFacts 1 inspector 0"));
  EXPECT_THAT(Arrives(2), ElementsAre("AskFacts 2 inspector 1"));
  EXPECT_THAT(Arrives(3), IsEmpty());
  EXPECT_THAT(Arrives(4, 1), ElementsAre("AskFacts 4 inspector 2"));
  EXPECT_THAT(Arrives(5, std::nullopt), ElementsAre("AskFacts 5 inspector 3"));
  EXPECT_THAT(Facts(4, 2), IsEmpty());
  EXPECT_THAT(Facts(1), ElementsAre("AskFacts 3 inspector 0"));
}

TEST_F(InspectionTest, ThoseKilledForHimCountUntilTheyAreDead) {
  Start();
  (void)Arrives(1);
  (void)Arrives(2);
  EXPECT_THAT(After(limits().safe), Contains("Kill inspector 1"));
  EXPECT_THAT(Arrives(3), IsEmpty());
  EXPECT_THAT(Arrives(4, 1), ElementsAre("AskFacts 4 inspector 2"));
  (void)After(limits().die);
  (void)On(event::SeatReady{Inspector(0, 2)});
  EXPECT_THAT(Arrives(5), IsEmpty()) << "left behind is not dead";
  EXPECT_THAT(On(event::SeatLost{Inspector(0), ""}), ElementsAre("AskSafeFacts 5 inspector 0.2"));
}

TEST_F(InspectionTest, WhoCostInspectorsIsAskedNothingRiskyForAMinute) {
  Start();
  LoseTwo();
  setup_.config.loop_cores = 3;
  (void)On(event::Configured{setup_.config, setup_.limits});
  EXPECT_THAT(Arrives(1), ElementsAre("AskSafeFacts 1 inspector 0.2"));
  (void)On(event::FactsFound{1, Inspector(0, 2), true});
  EXPECT_THAT(Arrives(2, 1), ElementsAre("AskSite 2 inspector 0.2")) << "another may";
  (void)On(event::SiteFound{2, Inspector(0, 2)});
  (void)On(event::FactsFound{2, Inspector(0, 2), true});
  for (const CrashKey crash : {901, 902, 1, 2}) (void)On(event::ProcessExited{crash});
  (void)After(60s);
  EXPECT_THAT(Arrives(3), ElementsAre("AskSite 3 inspector 0.2"));
}

TEST_F(InspectionTest, AndAsLongAsTheyDoNotDie) {
  setup_.inspectors = 6;
  Start();
  for (const CrashKey crash : {1, 2}) {
    (void)Arrives(crash);
    (void)On(event::ProcessExited{crash});
  }
  (void)After(10min);
  EXPECT_THAT(Arrives(3), ElementsAre("AskSafeFacts 3 inspector 2"));
}

TEST_F(InspectionTest, WhereNoInspectorAnswersACrashGoesOnWithoutFacts) {
  setup_.config.loop_cores = 3;
  setup_.inspectors = 0;
  Start();
  EXPECT_THAT(Arrives(1), IsEmpty());
  (void)Requests(1);
  EXPECT_THAT(After(limits().site), IsEmpty());
  setup_.inspectors = 4;
  EXPECT_THAT(After(limits().safe - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), ElementsAre("StartCapture 1 worker 0"));
}

TEST_F(InspectionTest, AfterAWhileSafeFactsWillDo) {
  setup_.config.loop_cores = 3;
  MakeManager();
  (void)Arrives(1);
  (void)After(limits().site);
  EXPECT_THAT(On(event::SeatReady{Inspector(0)}), ElementsAre("AskSafeFacts 1 inspector 0"));
}

TEST_F(InspectionTest, WhileInspectorsAnswerACrashWaitsForItsTurn) {
  setup_.inspectors = 1;
  Start();
  for (CrashKey crash = 1; crash <= 20; ++crash) (void)Arrives(crash);
  for (CrashKey crash = 1; crash <= 19; ++crash) {
    EXPECT_THAT(After(limits().site - 1ns), IsEmpty());
    EXPECT_THAT(Facts(crash), ElementsAre(fmt::format("AskFacts {} inspector 0", crash + 1)));
  }
}

TEST_F(InspectionTest, ButNotForEver) {
  setup_.inspectors = 1;
  Start();
  for (CrashKey crash = 1; crash <= 30; ++crash) (void)Arrives(crash, 1000, Transport::kPipe);
  CrashKey crash = 1;
  for (auto passed = limits().site; passed < limits().exchange; passed += limits().site) {
    EXPECT_THAT(After(limits().site - 1ns), IsEmpty());
    EXPECT_THAT(Facts(crash, 0, 0), Contains(HasSubstr(" event")));
    (void)On(event::ProcessExited{crash++});
    (void)After(1ns);
  }
  EXPECT_THAT(After(limits().site), Contains(HasSubstr("StartCapture"))) << "without facts";
}

class RulesTest : public InspectionTest {
 protected:
  /// One rule that says this, and nobody's else.
  void Begin(Rule rule) {
    setup_.config.rules = {{}, std::move(rule)};
    Start();
    (void)Arrives(1);
    (void)Requests(1);
  }
  /// The inspector says that this rule wins, counted from 1.
  Lines Ruled(CrashKey crash, std::uint32_t rule, std::int64_t at = 100, std::uint32_t inspector = 0) {
    event::SiteFound found{crash, Inspector(inspector), CrashSite{.signal = 11, .comm = "looper"},
                           at * kSecond};
    found.rule = rule;
    return On(found);
  }
  /// Its limit is 0.
  Lines WantsNone(CrashKey crash, std::uint32_t inspector = 0) {
    return On(event::FactsFound{crash, Inspector(inspector), true, 0});
  }
};

TEST_F(RulesTest, TheirSiteIsAskedForAlsoWhereNoneIsBounded) {
  setup_.config.loop_cores = setup_.config.unit_crashes = 0;
  setup_.config.unit_bytes = 0;
  Start();
  EXPECT_THAT(Arrives(1), ElementsAre("AskFacts 1 inspector 0"));
  setup_.config.rules = {{}};
  (void)On(event::Configured{setup_.config, limits()});
  EXPECT_THAT(Arrives(2), ElementsAre("AskSite 2 inspector 1"));
}

TEST_F(RulesTest, OneThatRejectsAsksForNothingMore) {
  Begin({.detail = Detail::kReject});
  EXPECT_THAT(Ruled(1, 2), ElementsAre("Answer 1 reject", "Release 1", "Count 1", "Forget 1"));
  (void)Arrives(2);
  EXPECT_THAT(Ruled(2, 1), ElementsAre("AskFacts 2 inspector 0")) << "it is not this one's";
}

TEST_F(RulesTest, WhatARuleRejectsIsCountedAlsoIfItsConnectionIsLost) {
  setup_.config.rules = {{.detail = Detail::kReject}};
  Start();
  (void)Arrives(1);
  EXPECT_THAT(Ruled(1, 1), IsEmpty()) << "its request is not there";
  EXPECT_THAT(On(event::ConnectionLost{1, "killed"}), ElementsAre("Release 1", "Count 1"));
}

TEST_F(RulesTest, OneForEventsHasNoBag) {
  Begin({.detail = Detail::kEvent});
  EXPECT_THAT(Ruled(1, 2), ElementsAre("AskFacts 1 inspector 0 of an event"));
  EXPECT_THAT(Facts(1), ElementsAre("Answer 1 event"));
  EXPECT_THAT(On(event::MarkRead{1}),
              ElementsAre("Release 1", "Record 1 event: a rule of the configuration keeps no core"));
}

TEST_F(RulesTest, ADetailHoldsAlsoForAProcessThatWantsNoCore) {
  Begin({.detail = Detail::kMinimal});
  EXPECT_THAT(Ruled(1, 2), ElementsAre("AskFacts 1 inspector 0 even if unwanted"));
  EXPECT_THAT(WantsNone(1), ElementsAre("StartCapture 1 worker 0 minimal"));
}

TEST_F(RulesTest, OneWithoutADetailLeavesItToTheProcess) {
  Begin({.cores = 3});
  EXPECT_THAT(Ruled(1, 2), ElementsAre("AskFacts 1 inspector 0"));
  EXPECT_THAT(WantsNone(1), ElementsAre("Answer 1 event"));
}

TEST_F(RulesTest, AnotherBoundOfItsSite) {
  setup_.config.loop_cores = 1;
  Begin({.cores = 2});
  (void)Ruled(1, 2);
  (void)Facts(1);
  for (const CrashKey crash : {2, 3}) (void)Arrives(crash), (void)Requests(crash);
  EXPECT_THAT(Ruled(2, 2), ElementsAre("AskFacts 2 inspector 0"));
  EXPECT_THAT(Ruled(3, 2, 100, 1), Contains("NoteRepeats 3"));
  (void)Arrives(4);
  EXPECT_THAT(Ruled(4, 0, 100, 1), Contains("NoteRepeats 4")) << "no rule: one core";
}

TEST_F(RulesTest, ThoseOfAnotherConfigurationAreAskedForAgain) {
  Begin({.detail = Detail::kEvent});
  EXPECT_THAT(On(event::SiteFound{.crash = 1, .seat = Inspector(0), .other_rules = true}),
              ElementsAre("AskSite 1 inspector 0"));
  EXPECT_THAT(Ruled(1, 2), ElementsAre("AskFacts 1 inspector 0 of an event"));
}

TEST_F(RulesTest, WhoAlwaysHasOthersIsNotAskedForEver) {
  Begin({.detail = Detail::kEvent});
  const event::SiteFound other{.crash = 1, .seat = Inspector(0), .other_rules = true};
  EXPECT_THAT(On(other), ElementsAre("AskSite 1 inspector 0"));
  EXPECT_THAT(On(other), ElementsAre("AskFacts 1 inspector 0"));
}

TEST_F(RulesTest, TheyHoldToTheEndOfACrashWhateverIsConfigured) {
  Begin({.detail = Detail::kMinimal});
  (void)Ruled(1, 2);
  setup_.config.rules = {{}, {.detail = Detail::kReject}};
  (void)On(event::Configured{setup_.config, limits()});
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0 minimal"));
}

TEST_F(RulesTest, ARuleThatIsNotThereWinsNothing) {
  Begin({.detail = Detail::kReject});
  EXPECT_THAT(Ruled(1, 3), ElementsAre("AskFacts 1 inspector 0"));
}

}  // namespace
}  // namespace obit
