#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Cause = event::HandoverFailed::Cause;

constexpr const char* kStarts = "StartCapture 1 worker 0 for a trace core_max 4194304";
constexpr const char* kRecorded = "Record 1 event: the process has RLIMIT_CORE 0: it asked for no core";

class TracesTest : public testing::ManagerTest {
 protected:
  void Start(std::size_t room = 16) {
    testing::ManagerTest::Start();
    (void)On(event::TracesWanted{room});
  }
  /// One that asked for no core.
  Lines Event(CrashKey crash, std::optional<uid_t> uid = 1000) {
    (void)Arrives(crash, uid);
    (void)Requests(crash);
    return Facts(crash, 0, 0);
  }
};

TEST_F(TracesTest, AnEventHasATraceAndIsRecordedAsAnEvent) {
  Start();
  EXPECT_THAT(Arrives(1), ElementsAre("AskFacts 1 inspector 0 with a trace"));
  (void)Requests(1);
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre(kStarts));
  EXPECT_THAT(On(event::CaptureReleased{1, Worker(0)}), IsEmpty());
  EXPECT_THAT(Ends(1), ElementsAre(kRecorded));
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(On(event::OrderDone{1}), ElementsAre("Forget 1"));
}

TEST_F(TracesTest, WhateverComesOfTheTraceItIsAnEvent) {
  Start();
  (void)Event(1);
  EXPECT_THAT(On(event::CaptureEnded{.crash = 1, .seat = Worker(0), .error = "it has no memory"}),
              ElementsAre("Release 1", kRecorded));
  (void)On(event::SeatReady{Worker(0)});
  (void)On(event::OrderDone{1});
  (void)On(event::ProcessExited{1});
  (void)Event(1);
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died"}), ElementsAre("Release 1", kRecorded))
      << "there is nothing to recover";
}

TEST_F(TracesTest, AWorkerThatHangsLetsItGoInTheEnd) {
  Start();
  (void)Event(1);
  EXPECT_THAT(After(limits().held + limits().look), Contains("Release 1"));
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(After(limits().die + limits().look), Contains("Kill worker 0"));
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died"}), ElementsAre(kRecorded));
}

TEST_F(TracesTest, OneThatNobodyTakesIsAnsweredAsAlways) {
  for (const Cause cause : {Cause::kWorker, Cause::kDead, Cause::kShortage, Cause::kNoTrace}) {
    Start();
    ASSERT_THAT(Event(1), ElementsAre(kStarts));
    const Lines lines = On(event::HandoverFailed{1, Worker(0), cause, "it hangs up"});
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(lines.back(), "Answer 1 event");
    EXPECT_THAT(On(event::MarkRead{1}), ElementsAre("Release 1", kRecorded));
  }
}

TEST_F(TracesTest, OneThatNobodyTakesLeavesItsRoomToAnother) {
  Start(1);
  (void)Event(1);
  (void)On(event::HandoverFailed{1, Worker(0), Cause::kNoTrace, "it has no memory"});
  EXPECT_THAT(Event(2, 1001), ElementsAre(HasSubstr("StartCapture 2")));
}

TEST_F(TracesTest, NobodyWaitsForOneAndNoneWaits) {
  setup_.workers = 2;
  Start();
  (void)Comes(9, 1001);
  EXPECT_THAT(Event(1), ElementsAre("Answer 1 event")) << "the last worker stays free";
  (void)Comes(8, 1002);
  (void)Comes(7, 1003);
  EXPECT_THAT(Event(2), ElementsAre("Answer 2 event"));
  (void)Ends(9);
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), ElementsAre("StartCapture 7 worker 0", "LetJobsGo"));
}

TEST_F(TracesTest, OneSlotIsForCores) {
  setup_.workers = 1;
  Start();
  EXPECT_THAT(Event(1), ElementsAre("Answer 1 event"));
}

TEST_F(TracesTest, NoMoreAreOpenThanTheClerkHasRoomFor) {
  Start(1);
  EXPECT_THAT(Event(1), ElementsAre(kStarts));
  EXPECT_THAT(Event(2, 1001), ElementsAre("Answer 2 event"));
  (void)On(event::CaptureReleased{1, Worker(0)});
  (void)Ends(1);
  (void)On(event::SeatReady{Worker(0)});
  EXPECT_THAT(Event(3, 1001), ElementsAre("Answer 3 event")) << "the clerk does not have it yet";
  (void)On(event::OrderDone{1});
  EXPECT_THAT(Event(4, 1001), ElementsAre(HasSubstr("StartCapture 4")));
  (void)On(event::TracesWanted{0});
  (void)On(event::CaptureEnded{4, Worker(0), true});
  (void)On(event::SeatReady{Worker(0)});
  (void)On(event::OrderDone{4});
  EXPECT_THAT(Event(5, 1001), ElementsAre("Answer 5 event"));
}

TEST_F(TracesTest, TheyCanBeConfiguredAway) {
  for (auto key : {&Config::traces, &Config::direct, &Config::analyze}) {
    setup_.config.*key = false;
    Start();
    EXPECT_THAT(Event(1), ElementsAre("Answer 1 event"));
    setup_.config.*key = true;
  }
}

TEST_F(TracesTest, APlaceThatHasCoresNeedsNone) {
  setup_.config.loop_cores = 1;
  Start();
  const auto site = [&](CrashKey crash) {
    (void)Arrives(crash);
    (void)Requests(crash);
    return On(event::SiteFound{.crash = crash,
                               .seat = Inspector(0),
                               .site = CrashSite{.signal = 11, .offset = 1, .comm = "a"},
                               .boottime = 1'000'000'000});
  };
  EXPECT_THAT(site(1), ElementsAre("AskFacts 1 inspector 0 with a trace"));
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(site(2), ElementsAre("AskFacts 2 inspector 0 of an event"));
  EXPECT_THAT(Facts(2), ElementsAre("Answer 2 event"));
}

TEST_F(TracesTest, OfAPipeOneNeedsAPump) {
  Start();
  (void)On(event::SeatLost{{Role::kPump, 0, 1}, "died"});
  (void)Arrives(1, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("StartCapture 1 worker 1 for a trace core_max 4194304"));
}

TEST_F(TracesTest, WhileACrashIsQueuedThereIsNone) {
  Start();
  for (std::uint32_t i = 0; i < setup_.workers; ++i) (void)On(event::SeatLost{{Role::kPump, i, 1}, "died"});
  (void)Arrives(1, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(1), ElementsAre("HoldJobs")) << "workers are free, and no pump";
  EXPECT_THAT(Event(2, 1001), ElementsAre("Answer 2 event"));
}

TEST_F(TracesTest, WhenObitdStopsThereIsNone) {
  Start();
  (void)Arrives(1);
  (void)Requests(1);
  (void)On(event::Stopping{});
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("Answer 1 event"));
}

}  // namespace
}  // namespace obit
