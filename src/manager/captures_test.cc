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

class CapturesTest : public testing::ManagerTest {
 protected:
  /// Crash 1 with worker 0, which has let the process go.
  void Released() {
    (void)Comes(1);
    (void)On(event::CaptureReleased{1, Worker(0)});
    (void)On(event::ProcessExited{1});
  }
  /// One that waits for a worker is killed.
  Lines Goes(CrashKey crash) {
    Lines lines = On(event::ConnectionLost{crash, "gone"});
    (void)On(event::ProcessExited{crash});
    return lines;
  }
};

TEST_F(CapturesTest, AWorkerGetsTheNextOnlyWhenItIsReady) {
  setup_.workers = 1;
  Start();
  EXPECT_THAT(Comes(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(Comes(2, 1), ElementsAre("HoldJobs"));
  EXPECT_THAT(Ends(1), ElementsAre("Release 1", "Commit 1"));
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), ElementsAre("StartCapture 2 worker 0", "LetJobsGo"));
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), IsEmpty()) << "it is not: it has a crash";
  EXPECT_EQ(manager_->load().captures, 1u);
}

TEST_F(CapturesTest, AFailureIsKeptWithoutItsCore) {
  Start();
  (void)Comes(1);
  EXPECT_THAT(On(event::CaptureEnded{1, Worker(0), false, "disk full"}),
              ElementsAre("Release 1", "KeepWithoutCore 1: disk full"));
}

TEST_F(CapturesTest, OneWorkerStaysFreeForOthers) {
  Start();
  for (const CrashKey crash : {1, 2, 3}) EXPECT_THAT(Comes(crash), Contains(HasSubstr("StartCapture")));
  EXPECT_THAT(Comes(4), ElementsAre("HoldJobs"));
  EXPECT_THAT(Comes(5, 1), ElementsAre("StartCapture 5 worker 3"));
}

TEST_F(CapturesTest, WhileOthersWaitAUserHasHalfOfTheWorkers) {
  Start();
  for (const CrashKey crash : {1, 2, 3, 4}) (void)Comes(crash);
  for (const CrashKey crash : {5, 6}) (void)Comes(crash, 1);
  (void)Ends(1);
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), ElementsAre("StartCapture 6 worker 0")) << "4 came first";
  (void)Comes(7, 1);
  (void)Comes(8, 2);
  (void)Ends(2, 1);
  EXPECT_THAT(On(event::SeatReady{Worker(1)}), ElementsAre("StartCapture 8 worker 1")) << "who has least";
  (void)Ends(3, 2);
  EXPECT_THAT(On(event::SeatReady{Worker(2)}), ElementsAre("StartCapture 4 worker 2"));
}

TEST_F(CapturesTest, WhereTwoWaitAThirdFindsAWorkerFree) {
  setup_.workers = 5;
  Start();
  for (const CrashKey crash : {1, 2}) (void)Comes(crash, 1);
  for (const CrashKey crash : {3, 4}) (void)Comes(crash, 2);
  EXPECT_THAT(Comes(5, 1), ElementsAre("StartCapture 5 worker 4")) << "nobody else waits";
  (void)Comes(6, 2);
  (void)Comes(7, 1);
  (void)Ends(5, 4);
  EXPECT_THAT(On(event::SeatReady{Worker(4)}), IsEmpty()) << "both have half";
  EXPECT_THAT(Comes(8, 3), ElementsAre("StartCapture 8 worker 4"));
}

TEST_F(CapturesTest, AQueueInWhichNothingMovesEnds) {
  Start();
  for (const CrashKey crash : {1, 2, 3, 4}) (void)Comes(crash);
  EXPECT_THAT(After(limits().queue - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns),
              ElementsAre("Release 4", "Record 4 failed: every worker was held up for 2 s while it waited",
                          "LetJobsGo"));
  (void)Comes(5);
  EXPECT_THAT(Work(60s), Not(Contains("Release 5"))) << "while any capture moves";
  (void)On(event::CaptureReleased{2, Worker(1)});
  EXPECT_THAT(After(limits().queue - 1ns), Not(Contains("Release 5")));
  EXPECT_THAT(After(1ns), Contains("Release 5"));
}

TEST_F(CapturesTest, NobodyWaitsForEver) {
  setup_.limits.capture = 60s;
  Start();
  for (const CrashKey crash : {1, 2, 3, 4}) (void)Comes(crash);
  (void)On(event::CaptureReleased{1, Worker(0)});
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(Work(59s), Not(Contains("Release 4")));
  EXPECT_THAT(Work(1s), Contains("Record 4 failed: it waited for a worker for 60 s"));
}

/// As one that a user's own file system slows down, which answers in time each time.
TEST_F(CapturesTest, ASlowCaptureDoesNotHoldUpOthers) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  const std::uint64_t slow = limits().held_rate / 2;
  EXPECT_THAT(Work(60s, slow), IsEmpty()) << "while nobody waits";
  (void)Comes(2, 1001);
  EXPECT_THAT(Work(2s, slow), Contains("Release 1"));
  EXPECT_THAT(On(event::CaptureReleased{1, Worker(0)}), IsEmpty());
  EXPECT_THAT(Ends(1), ElementsAre("Commit 1")) << "with what it has";
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), Contains("StartCapture 2 worker 0"));
}

TEST_F(CapturesTest, TheLongerOthersWaitTheFasterItHasToBe) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  (void)Comes(2);
  EXPECT_THAT(Work(9s, 1), Not(Contains("Release 1"))) << "each has that time";
  EXPECT_THAT(Work(1s, limits().held_rate * 20), Not(Contains("Release 1")));
  EXPECT_THAT(Work(10s, limits().held_rate * 8), Not(Contains("Release 1")));
  EXPECT_THAT(Work(40s, limits().held_rate * 2), Contains("Release 1"));
}

/// Who keeps crashes in the queue that get no worker does not cut others' cores.
TEST_F(CapturesTest, ASlowCaptureIsNotReleasedForWhoGetsNoMore) {
  Start();
  for (const CrashKey crash : {1, 2, 3}) (void)Comes(crash, 1001);
  EXPECT_THAT(Comes(4), ElementsAre("StartCapture 4 worker 3"));
  EXPECT_THAT(Comes(5, 1001), ElementsAre("HoldJobs"));
  const Lines lines = Work(60s, limits().held_rate / 2);
  EXPECT_THAT(lines, Contains("Release 1")) << "of which he gets the seat";
  EXPECT_THAT(lines, Not(Contains("Release 4")));
}

TEST_F(CapturesTest, ASlowCaptureIsNotReleasedForWhoHasAsMuch) {
  Start();
  for (const CrashKey crash : {1, 2}) (void)Comes(crash, 1001);
  for (const CrashKey crash : {3, 4}) (void)Comes(crash);
  (void)Comes(5, 1001);
  EXPECT_THAT(Work(60s, limits().held_rate / 2), Not(Contains("Release 3")));
}

TEST_F(CapturesTest, AQueueThatDoesNotEndHoldsNoJobsUp) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  EXPECT_THAT(Comes(2), ElementsAre("HoldJobs"));
  EXPECT_THAT(Work(9s), IsEmpty());
  EXPECT_THAT(Work(1s), ElementsAre("LetJobsGo"));
  EXPECT_THAT(Comes(3), IsEmpty()) << "it is the same queue";
  for (const CrashKey crash : {2, 3}) (void)Goes(crash);
  (void)Work(1s);
  EXPECT_THAT(Comes(4), Contains("HoldJobs"));
}

TEST_F(CapturesTest, AQueueThatIsEmptyForAMomentIsTheSame) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  CrashKey next = 2;
  EXPECT_THAT(Comes(next), ElementsAre("HoldJobs"));
  for (int i = 0; i < 9; ++i) {
    EXPECT_THAT(Work(1s), IsEmpty());
    EXPECT_THAT(Goes(next), Contains("LetJobsGo"));
    EXPECT_THAT(Comes(++next), Contains("HoldJobs"));
  }
  EXPECT_THAT(Work(1s), ElementsAre("LetJobsGo"));
  (void)Goes(next);
  (void)After(999ms);
  EXPECT_THAT(Comes(++next), IsEmpty());
  (void)Goes(next);
  (void)After(1s);
  EXPECT_THAT(Comes(++next), ElementsAre("HoldJobs"));
}

TEST_F(CapturesTest, AReleasedCaptureThatOnlyCountsIsKilled) {
  Start();
  Released();
  const auto most = std::chrono::duration_cast<std::chrono::seconds>(limits().capture + limits().stored +
                                                                     limits().given_up);
  EXPECT_THAT(Work(most - 1s), IsEmpty());
  EXPECT_THAT(Work(2s), Contains("Kill worker 0"));
}

TEST_F(CapturesTest, AHeldProcessIsReleasedWhenNothingMoves) {
  Start();
  (void)Comes(1);
  EXPECT_THAT(Work(60s), IsEmpty());
  EXPECT_THAT(After(limits().held - 1ns), IsEmpty());
  EXPECT_THAT(
      After(1ns),
      ElementsAre("Say crash1: the capture made no progress for 10 s: its process is released", "Release 1"));
  EXPECT_THAT(On(event::CaptureReleased{1, Worker(0)}), IsEmpty());
  EXPECT_THAT(Ends(1), ElementsAre("Commit 1")) << "with what it has";
}

TEST_F(CapturesTest, AProcessIsNotHeldForEver) {
  Start();
  (void)Comes(1);
  EXPECT_THAT(Work(599s), IsEmpty());
  EXPECT_THAT(Work(1s), ElementsAre("Say crash1: the capture took longer than 600 s: its process is released",
                                    "Release 1"));
}

TEST_F(CapturesTest, StoringMayTakeLongAsLongAsItMoves) {
  Start();
  Released();
  EXPECT_THAT(Work(1000s), IsEmpty());
  EXPECT_THAT(After(limits().stored - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns),
              ElementsAre("Say worker 0 is left behind, another takes its seat: it made no progress for 60 s",
                          "LeaveBehind worker 0"));
}

TEST_F(CapturesTest, WhoIsLeftBehindMayFinishAndGoes) {
  Start();
  Released();
  (void)After(limits().stored);
  (void)On(event::SeatReady{Worker(0, 2)});
  EXPECT_THAT(Comes(2), ElementsAre("StartCapture 2 worker 0.2"));
  EXPECT_THAT(Ends(1), ElementsAre("Kill worker 0", "Commit 1"));
  EXPECT_THAT(On(event::OrderDone{1}), ElementsAre("Forget 1"));
  EXPECT_EQ(manager_->load().left_behind, 1u);
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died"}), IsEmpty());
  EXPECT_EQ(manager_->load().left_behind, 0u);
}

TEST_F(CapturesTest, WhoIsLeftBehindAndDoesNothingIsKilledAndTheRestRecovered) {
  Start();
  Released();
  (void)After(limits().stored);
  EXPECT_THAT(After(limits().given_up - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), ElementsAre("Kill worker 0"));
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died of SIGKILL"}),
              ElementsAre("StartRecovery 1 worker 1 crash1: the capture made no progress for 660 s"));
}

TEST_F(CapturesTest, WhatDoesNotDieIsNotWaitedFor) {
  Start();
  Released();
  (void)After(limits().stored + limits().given_up);
  EXPECT_THAT(After(limits().die), ElementsAre(HasSubstr("StartRecovery 1 worker 1 crash1: ")));
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died of SIGKILL"}), IsEmpty());
  EXPECT_THAT(Ends(1, 1), ElementsAre("Commit 1"));
}

TEST_F(CapturesTest, WithTooManyLeftBehindASeatStaysTaken) {
  setup_.limits.left_behind = 4;
  setup_.workers = 5;
  Start();
  for (const CrashKey crash : {1, 2, 3}) {
    (void)Comes(crash, 1);
    (void)On(event::CaptureReleased{crash, Worker(static_cast<std::uint32_t>(crash) - 1)});
    (void)On(event::ProcessExited{crash});
  }
  EXPECT_THAT(After(limits().stored), Contains("LeaveBehind worker 1"));
  EXPECT_THAT(After(100s), IsEmpty()) << "a user has half of those places";
  EXPECT_THAT(Ends(1), Contains("Kill worker 0"));
  (void)On(event::SeatLost{Worker(0), ""});
  EXPECT_THAT(After(limits().look), Contains("LeaveBehind worker 2"));
}

TEST_F(CapturesTest, AWorkerThatDiesLeavesARecovery) {
  Start();
  (void)Comes(1);
  EXPECT_THAT(
      On(event::SeatLost{Worker(0), "died of SIGSEGV"}),
      ElementsAre("Release 1", "StartRecovery 1 worker 1 crash1: the capture worker died of SIGSEGV"));
  EXPECT_THAT(On(event::SeatLost{Worker(1), "died of SIGSEGV"}),
              ElementsAre("KeepWithoutCore 1: the capture worker died of SIGSEGV, twice"));
}

TEST_F(CapturesTest, RecoveriesComeAfterCapturesAndNeverTakeAllWorkers) {
  Start();
  (void)On(event::Abandoned{1, "old1", "why"});
  EXPECT_THAT(On(event::Abandoned{2, "old2", "why"}), IsEmpty()) << "one at a time";
  EXPECT_THAT(Comes(4), ElementsAre("StartCapture 4 worker 1"));
  EXPECT_THAT(Comes(5), ElementsAre("StartCapture 5 worker 2"));
  EXPECT_THAT(Comes(6), ElementsAre("HoldJobs")) << "the last worker is for another";
  EXPECT_THAT(Comes(7, 1), ElementsAre("StartCapture 7 worker 3"));
  EXPECT_THAT(Ends(1), ElementsAre("Commit 1"));
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), ElementsAre("StartCapture 6 worker 0", "LetJobsGo"));
  (void)Ends(4, 1);
  EXPECT_THAT(On(event::SeatReady{Worker(1)}), IsEmpty()) << "it would be the last one that is free";
  (void)Ends(5, 2);
  EXPECT_THAT(On(event::SeatReady{Worker(2)}), ElementsAre("StartRecovery 2 worker 1 old2: why"));
}

/// As of a user whose crashes cost too many workers.
TEST_F(CapturesTest, RecoveriesDoNotWaitForWhoGetsNoWorker) {
  setup_.limits.left_behind = 4;  // one that does not die is too many
  Start();
  Released();
  (void)After(limits().stored + limits().given_up);
  (void)On(event::SeatReady{Worker(0, 2)});
  EXPECT_THAT(After(limits().die), ElementsAre(HasSubstr("StartRecovery 1 worker 0.2 ")));
  EXPECT_THAT(Comes(2), ElementsAre("HoldJobs"));
  (void)On(event::Abandoned{3, "old", "why"});
  EXPECT_THAT(On(event::CaptureEnded{1, Worker(0, 2), true}),
              ElementsAre("Commit 1", "StartRecovery 3 worker 1 old: why"));
  for (const CrashKey crash : {4, 5}) EXPECT_THAT(Comes(crash, 1001), Contains(HasSubstr("StartCapture")));
}

/// Somebody can see to it that there are always captures.
TEST_F(CapturesTest, ARecoveryIsDueWhateverWaits) {
  Start();
  for (const CrashKey crash : {1, 2, 3, 4}) (void)Comes(crash);
  EXPECT_THAT(On(event::Abandoned{5, "old5", "why"}), IsEmpty());
  EXPECT_THAT(On(event::Abandoned{6, "old6", "why"}), IsEmpty());
  EXPECT_THAT(Work(9s), IsEmpty());
  EXPECT_THAT(Work(1s), ElementsAre("StartRecovery 5 worker 3 old5: why", "LetJobsGo"));
  EXPECT_THAT(Work(20s), IsEmpty()) << "one at a time";
  (void)Ends(5, 3);
  EXPECT_THAT(On(event::SeatReady{Worker(3)}), IsEmpty());
  EXPECT_THAT(Work(8s), IsEmpty());
  EXPECT_THAT(Work(2s), ElementsAre("StartRecovery 6 worker 3 old6: why"));
}

TEST_F(CapturesTest, ARecoveryThatIsDueDoesNotTakeTheLastWorkerForWhoHasOthers) {
  Start();
  for (const CrashKey crash : {1, 2, 3, 4}) (void)Comes(crash);
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died"}), ElementsAre("Release 1", "StartCapture 4 worker 3", _));
  (void)On(event::ProcessExited{1});
  (void)Comes(5);
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), IsEmpty());
  EXPECT_THAT(Work(20s), Not(Contains(HasSubstr("StartRecovery"))));
  EXPECT_THAT(Comes(6, 1001), Contains("StartCapture 6 worker 0.2"));
  (void)On(event::CaptureEnded{6, Worker(0, 2), true});
  (void)On(event::SeatReady{Worker(0, 2)});
  (void)Ends(2, 1);
  EXPECT_THAT(On(event::SeatReady{Worker(1)}), ElementsAre(HasSubstr("StartRecovery 1 worker 0.2 ")))
      << "and 5 waits";
}

TEST_F(CapturesTest, ARecoveryThatIsDueGoesFirst) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  (void)Comes(2, 1001);
  (void)On(event::Abandoned{3, "old", "why"});
  (void)Work(10s);
  (void)Ends(1);
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), ElementsAre("StartRecovery 3 worker 0 old: why"));
  (void)Ends(3);
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), ElementsAre("StartCapture 2 worker 0"));
}

TEST_F(CapturesTest, WhoGetsNoWorkerTakesNoneFromOthers) {
  setup_.limits.left_behind = 4;
  setup_.workers = 5;
  Start();
  Released();
  (void)After(limits().stored + limits().given_up);
  (void)On(event::SeatReady{Worker(0, 2)});
  (void)After(limits().die);
  (void)On(event::CaptureEnded{1, Worker(0, 2), true});
  (void)On(event::SeatReady{Worker(0, 2)});
  EXPECT_THAT(Comes(2), ElementsAre("HoldJobs"));
  for (const CrashKey crash : {3, 4, 5, 6})
    EXPECT_THAT(Comes(crash, 1001), Contains(HasSubstr("StartCapture"))) << crash;
}

TEST_F(CapturesTest, ARecoveryThatDoesNothingEndsToo) {
  Start();
  EXPECT_THAT(On(event::Abandoned{1, "old", "why"}), ElementsAre("StartRecovery 1 worker 0 old: why"));
  EXPECT_THAT(After(limits().stored), Contains("LeaveBehind worker 0"));
  EXPECT_THAT(After(limits().given_up), ElementsAre("Kill worker 0"));
  EXPECT_THAT(On(event::SeatLost{Worker(0), ""}),
              ElementsAre("KeepWithoutCore 1: why; the capture made no progress for 660 s"));
  EXPECT_THAT(On(event::OrderDone{1}), ElementsAre("Forget 1"));
}

TEST_F(CapturesTest, AWorkerThatNeverGetsReadyAgainGivesUpItsSeat) {
  Start();
  Released();
  (void)Ends(1);
  EXPECT_THAT(After(limits().stored - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), ElementsAre("Say worker 0 does not get ready: sending SIGKILL", "Kill worker 0"));
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), IsEmpty()) << "too late";
  EXPECT_THAT(After(limits().die), ElementsAre(_, "LeaveBehind worker 0"));
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), IsEmpty());
  EXPECT_THAT(Comes(2), ElementsAre("StartCapture 2 worker 0.2"));
}

TEST_F(CapturesTest, APipeNeedsThePumpOfItsWorker) {
  Start();
  (void)On(event::SeatLost{{Role::kPump, 0, 1}, "died"});
  (void)Arrives(1, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 1"));
  EXPECT_THAT(Comes(2), ElementsAre("StartCapture 2 worker 0"));
  (void)Ends(2);
  (void)On(event::SeatReady{{Role::kPump, 0, 2}});
  (void)On(event::SeatReady{Worker(0)});
  (void)Arrives(3, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(3), ElementsAre("StartCapture 3 worker 0"));
}

TEST_F(CapturesTest, NoRecoveryBeginsWhileACaptureWaitsForAPump) {
  Start();
  for (std::uint32_t i = 0; i < 4; ++i) (void)On(event::SeatLost{{Role::kPump, i, 1}, "died"});
  (void)Arrives(1, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(1), ElementsAre("HoldJobs"));
  EXPECT_THAT(On(event::Abandoned{2, "old2", "why"}), IsEmpty());
}

TEST_F(CapturesTest, ProgressSinceTheLastLookIsSeenBeforeTheQueueEnds) {
  setup_.workers = 1;
  setup_.limits.queue = 1500ms;
  Start();
  (void)Comes(1);
  (void)Comes(2);
  (void)After(1400ms);
  ++progress_[Worker(0)];
  EXPECT_THAT(After(1400ms), IsEmpty());
}

TEST_F(CapturesTest, AForcedReleaseLeavesTimeToStore) {
  Start();
  (void)Comes(1);
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(After(limits().held), Contains("Release 1"));
  (void)On(event::CaptureReleased{1, Worker(0)});
  EXPECT_THAT(After(limits().stored - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), Contains("LeaveBehind worker 0"));
}

TEST_F(CapturesTest, WhoStillReadsWhatWasLetGoIsKilled) {
  Start();
  (void)Comes(1);
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(After(limits().held), Contains("Release 1"));
  EXPECT_THAT(After(limits().die - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), ElementsAre("Kill worker 0"));
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died"}), Contains(::testing::StartsWith("StartRecovery 1")));
}

TEST_F(CapturesTest, ABusyWorkerIsNotReadyWhateverItSays) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  (void)Comes(2, 1);
  EXPECT_THAT(On(event::SeatReady{Worker(0)}), IsEmpty());
}

TEST_F(CapturesTest, SlotsAreTheWorkersThereAre) {
  setup_.workers = 2;
  Start();
  EXPECT_THAT(Comes(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(Comes(2), ElementsAre("HoldJobs"));
  setup_.config.slots = 3;
  EXPECT_THAT(On(event::Configured{setup_.config, setup_.limits}),
              ElementsAre("StartCapture 2 worker 1", "LetJobsGo"));
}

}  // namespace
}  // namespace obit
