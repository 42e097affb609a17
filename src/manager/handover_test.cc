#include "manager/test_support.h"

namespace obit {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class HandoverTest : public testing::ManagerTest {
 protected:
  using Cause = event::HandoverFailed::Cause;
  Lines Fails(CrashKey crash, const Seat& worker, Cause cause = Cause::kWorker) {
    return On(event::HandoverFailed{crash, worker, cause, "it hangs up"});
  }
};

TEST_F(HandoverTest, ACrashThatAWorkerDidNotGetGoesToTheNext) {
  setup_.workers = 2;
  Start();
  EXPECT_THAT(Comes(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(Fails(1, Worker(0)), ElementsAre("Kill worker 0", "StartCapture 1 worker 1"));
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died"}), IsEmpty()) << "it had nothing";
  EXPECT_THAT(Ends(1, 1), ElementsAre("Release 1", "Commit 1"));
}

TEST_F(HandoverTest, ItKeepsItsPlaceInTheQueue) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  (void)Comes(2);
  (void)Fails(1, Worker(0));
  (void)On(event::SeatLost{Worker(0), "died"});
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), ElementsAre("StartCapture 1 worker 0.2"));
}

TEST_F(HandoverTest, WithoutAPumpTheWorkerStaysAndAnotherPumpIsTried) {
  setup_.workers = 2;
  Start();
  (void)Arrives(1, 1000, Transport::kPipe);
  EXPECT_THAT(Facts(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(Fails(1, Worker(0), Cause::kPump), ElementsAre("StartCapture 1 worker 1"));
  EXPECT_THAT(Fails(1, Worker(1), Cause::kPump), ElementsAre("HoldJobs"));
  EXPECT_THAT(On(event::SeatReady{{Role::kPump, 0, 2}}), Contains("StartCapture 1 worker 0"));
}

TEST_F(HandoverTest, WhereSomethingIsShortTheWorkerStaysAndAllWait) {
  setup_.workers = 2;
  setup_.limits.queue = std::chrono::seconds(1);
  Start();
  (void)Comes(1);
  constexpr std::chrono::milliseconds kPause{100};
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(Fails(1, Worker(0), Cause::kShortage), ElementsAre("HoldJobs")) << i;
    EXPECT_THAT(After(kPause), ElementsAre("StartCapture 1 worker 0", "LetJobsGo")) << i;
  }
  EXPECT_THAT(Fails(1, Worker(0), Cause::kShortage),
              ElementsAre("Release 1", "Record 1 failed: no worker could be given it: it hangs up"));
  EXPECT_THAT(Comes(2), ElementsAre("HoldJobs")) << "nobody can be given anything yet";
  EXPECT_THAT(After(kPause), Contains("StartCapture 2 worker 0"));
}

TEST_F(HandoverTest, AfterThreeItIsRecordedWithoutACore) {
  setup_.workers = 4;
  Start();
  (void)Comes(1);
  (void)Fails(1, Worker(0));
  (void)Fails(1, Worker(1));
  EXPECT_THAT(Fails(1, Worker(2)), ElementsAre("Kill worker 2", "Release 1",
                                               "Record 1 failed: no worker could be given it: it hangs up"));
}

TEST_F(HandoverTest, WhoIsDeadAlreadyIsNoTry) {
  setup_.workers = 4;
  Start();
  (void)Comes(1);
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_THAT(Fails(1, Worker(i), Cause::kDead), Contains(fmt::format("StartCapture 1 worker {}", i + 1)));
  EXPECT_THAT(Fails(1, Worker(3), Cause::kDead), Not(Contains(StartsWith("Release"))))
      << "their successors come in a moment";
}

TEST_F(HandoverTest, ARecoveryThatWasNotBegunIsNotATry) {
  setup_.workers = 4;
  Start();
  EXPECT_THAT(On(event::Abandoned{1, "old", "why"}), ElementsAre("StartRecovery 1 worker 0 old: why"));
  EXPECT_THAT(Fails(1, Worker(0)), ElementsAre("Kill worker 0", "StartRecovery 1 worker 1 old: why"));
  EXPECT_THAT(Fails(1, Worker(1)), ElementsAre("Kill worker 1", "StartRecovery 1 worker 2 old: why"));
  EXPECT_THAT(Fails(1, Worker(2)), ElementsAre("Kill worker 2", "KeepWithoutCore 1: why; it hangs up"))
      << "obitd runs on: there may be no next start for months";
}

TEST_F(HandoverTest, WhatIsLeftForTheNextStartIsNotCutShort) {
  setup_.workers = 4;
  Start();
  (void)On(event::Abandoned{1, "old", "why"});
  (void)On(event::Stopping{});
  EXPECT_THAT(Fails(1, Worker(0)), ElementsAre("Kill worker 0", "Forget 1 left", "Stopped"));
}

TEST_F(HandoverTest, ARecoveryHasTriesOfItsOwn) {
  setup_.workers = 4;
  Start();
  (void)Comes(1);
  (void)Fails(1, Worker(0));
  (void)Fails(1, Worker(1));
  (void)On(event::SeatReady{Worker(0, 2)});
  (void)On(event::SeatReady{Worker(1, 2)});
  EXPECT_THAT(On(event::SeatLost{Worker(2), "died"}), Contains(StartsWith("StartRecovery 1 worker 0.2")));
  EXPECT_THAT(Fails(1, Worker(0, 2)), Contains(StartsWith("StartRecovery 1 worker 1.2")));
}

TEST_F(HandoverTest, NothingIsHandedOverAgainWhenTheTimeToStopIsOver) {
  setup_.workers = 2;
  setup_.limits.stop = std::chrono::seconds(1);
  Start();
  (void)Comes(1);
  (void)On(event::ProcessExited{1});
  (void)On(event::Stopping{});
  EXPECT_THAT(After(limits().stop), Contains(StartsWith("Kill worker 0")));
  EXPECT_THAT(Fails(1, Worker(0)), ElementsAre("Forget 1 left", "Stopped"));
}

}  // namespace
}  // namespace obit
