#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ArrivalTest : public testing::ManagerTest {};

TEST_F(ArrivalTest, ACrashIsLookedIntoCapturedStoredAndForgotten) {
  Start();
  EXPECT_THAT(Arrives(1), ElementsAre("AskFacts 1 inspector 0"));
  EXPECT_THAT(Requests(1), IsEmpty());
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(On(event::CaptureReleased{1, Worker(0)}), IsEmpty());
  EXPECT_THAT(On(event::ProcessExited{1}), IsEmpty());
  EXPECT_THAT(Ends(1), ElementsAre("Commit 1"));
  EXPECT_THAT(On(event::OrderDone{1}), ElementsAre("Forget 1"));
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), IsEmpty());
  EXPECT_EQ(manager_->NextDeadline(), INT64_MAX) << "an idle manager sleeps";
}

TEST_F(ArrivalTest, FactsAndRequestMayComeInAnyOrder) {
  Start();
  (void)Arrives(1);
  EXPECT_THAT(Facts(1), IsEmpty());
  EXPECT_THAT(Requests(1), ElementsAre("StartCapture 1 worker 0"));
}

TEST_F(ArrivalTest, OfAPipeNoRequestIsWaitedFor) {
  Start();
  (void)Arrives(1, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0"));
}

TEST_F(ArrivalTest, TheLimitOfThePipeCountsWhereFactsHaveNone) {
  Start();
  (void)On(event::Arrived{.crash = 1, .transport = Transport::kPipe, .core_limit = 8192});
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0 core_max 8192"));
  (void)On(event::Arrived{.crash = 2, .transport = Transport::kPipe, .core_limit = 8192});
  EXPECT_THAT(Facts(2, 0, 4096), ElementsAre("StartCapture 2 worker 1 core_max 4096"));
}

TEST_F(ArrivalTest, WhatIsConfiguredForCapturesIsPassedOn) {
  setup_.config.direct = false;
  setup_.config.verify = true;
  setup_.config.no_core_limit = Detail::kMinimal;
  Start();
  (void)Arrives(1);
  (void)Requests(1);
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("StartCapture 1 worker 0 minimal by stream verify"));
}

TEST_F(ArrivalTest, AnEventIsAnsweredAndReleasedOnlyAfterTheMark) {
  Start();
  (void)Arrives(1);
  (void)Requests(1);
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("Answer 1 event"));
  EXPECT_THAT(
      On(event::MarkRead{1}),
      ElementsAre("Release 1", "Record 1 event: the process has RLIMIT_CORE 0: it asked for no core"));
  EXPECT_THAT(On(event::OrderDone{1}), IsEmpty()) << "its process is still there";
  EXPECT_THAT(On(event::ProcessExited{1}), ElementsAre("Forget 1"));
}

TEST_F(ArrivalTest, WhatIsOnlyCountedIsAnsweredToo) {
  setup_.config.no_core_limit = Detail::kReject;
  Start();
  (void)Arrives(1);
  (void)Requests(1);
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("Answer 1 reject", "Release 1", "Count 1", "Forget 1"))
      << "its kernel waits for nothing more";
  EXPECT_THAT(On(event::ConnectionLost{1, "it went"}), IsEmpty()) << "before it had the answer";
  EXPECT_THAT(On(event::ProcessExited{1}), IsEmpty());
}

TEST_F(ArrivalTest, WithoutAnOfferThereIsNothingToAnswer) {
  Start();
  (void)Arrives(1);
  (void)On(event::RequestRead{1, {}});
  EXPECT_THAT(Facts(1, 0, 0), ElementsAre("Release 1", HasSubstr("Record 1 event")));
  setup_.config.no_core_limit = Detail::kReject;
  (void)On(event::Configured{setup_.config, setup_.limits});
  (void)Arrives(2, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(2, 0, 0), ElementsAre("Release 2", "Count 2"));
}

TEST_F(ArrivalTest, ARefusedAnswerIsAFailure) {
  Start();
  (void)Arrives(1);
  (void)Requests(1);
  (void)Facts(1, 0, 0);
  EXPECT_THAT(On(event::MarkRead{1, CoredumpMark::kUnsupported}),
              ElementsAre("Release 1", HasSubstr("Record 1 failed: the kernel refused the answer: ")));
}

TEST_F(ArrivalTest, AnExchangeThatStandsStillEnds) {
  Start();
  (void)Arrives(1);
  (void)Facts(1);
  EXPECT_THAT(After(limits().exchange - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns),
              ElementsAre("Release 1", "Record 1 failed: the exchange with the kernel stood still"));

  (void)Arrives(2);
  (void)Requests(2);
  EXPECT_THAT(Facts(2, 0, 0), ElementsAre("Answer 2 event"));
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(After(limits().exchange - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns),
              ElementsAre("Release 2", "Record 2 failed: the exchange with the kernel stood still"));
}

TEST_F(ArrivalTest, AConnectionThatIsLostEndsACrashUntilAWorkerHasIt) {
  setup_.workers = 1;
  Start();
  (void)Arrives(1);
  EXPECT_THAT(On(event::ConnectionLost{1, "it went"}), ElementsAre("Release 1", "Record 1 failed: it went"));
  EXPECT_THAT(Facts(1), IsEmpty()) << "of a crash that has ended";
  (void)Arrives(2);
  (void)Requests(2);
  (void)Facts(2, 0, 0);
  EXPECT_THAT(On(event::ConnectionLost{2, "it went"}), ElementsAre("Release 2", "Record 2 failed: it went"));
  EXPECT_THAT(Comes(3), ElementsAre("StartCapture 3 worker 0"));
  EXPECT_THAT(Comes(4), ElementsAre("HoldJobs"));
  EXPECT_THAT(On(event::ConnectionLost{4, "it went"}),
              ElementsAre("Release 4", "Record 4 failed: it went", "LetJobsGo"));
  EXPECT_THAT(On(event::ConnectionLost{3, "it went"}), IsEmpty()) << "the worker will say so";
}

TEST_F(ArrivalTest, WhatHasEndedNoLongerWaitsForAnInspector) {
  setup_.inspectors = 1;
  Start();
  (void)Arrives(1);
  (void)Arrives(2);
  (void)On(event::ProcessExited{2});
  EXPECT_THAT(On(event::ConnectionLost{2, "it went"}), ElementsAre("Release 2", "Record 2 failed: it went"));
  EXPECT_THAT(On(event::OrderDone{2}), ElementsAre("Forget 2"));
  EXPECT_THAT(Facts(1), IsEmpty());
}

TEST_F(ArrivalTest, AProcessThatIsGoneEarlyChangesNothing) {
  Start();
  (void)Arrives(1);
  EXPECT_THAT(On(event::ProcessExited{1}), IsEmpty());
  (void)Requests(1);
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(Ends(1), ElementsAre("Release 1", "Commit 1"));
  EXPECT_THAT(On(event::OrderDone{1}), ElementsAre("Forget 1"));
}

TEST_F(ArrivalTest, LateEventsAboutNothingChangeNothing) {
  Start();
  EXPECT_THAT(Requests(7), IsEmpty());
  EXPECT_THAT(On(event::MarkRead{7}), IsEmpty());
  EXPECT_THAT(On(event::ConnectionLost{7, ""}), IsEmpty());
  EXPECT_THAT(On(event::ProcessExited{7}), IsEmpty());
  EXPECT_THAT(On(event::OrderDone{7}), IsEmpty());
  EXPECT_THAT(On(event::SiteFound{7, Inspector(0)}), IsEmpty());
  EXPECT_THAT(On(event::FactsFound{7, Inspector(0), true}), IsEmpty());
  EXPECT_THAT(On(event::ActivityFound{7, Inspector(0)}), IsEmpty());
  EXPECT_THAT(On(event::CaptureReleased{7, Worker(0)}), IsEmpty());
  EXPECT_THAT(On(event::CaptureEnded{7, Worker(0), true}), IsEmpty());
  EXPECT_THAT(On(event::SeatLost{Worker(9), ""}), IsEmpty());
  (void)Arrives(1);
  EXPECT_THAT(On(event::MarkRead{1}), IsEmpty()) << "nothing was answered";
  EXPECT_THAT(On(event::FactsFound{1, Inspector(1), true}), IsEmpty()) << "another was asked";
  EXPECT_THAT(On(event::SiteFound{1, Inspector(0)}), IsEmpty()) << "that was not asked";
  EXPECT_THAT(On(event::CaptureEnded{1, Worker(0), true}), IsEmpty()) << "nobody captures it";
  EXPECT_EQ(manager_->load().open, 1u);
}

TEST_F(ArrivalTest, AnswersThatCameDuringAStandstillAreReadFirst) {
  Start();
  (void)Arrives(1);
  now_ += std::chrono::nanoseconds(1h).count();
  EXPECT_THAT(Requests(1), IsEmpty()) << "no deadline was over while the manager ran";
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0"));
}

}  // namespace
}  // namespace obit
