#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::_;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StopTest : public testing::ManagerTest {};

TEST_F(StopTest, StoppingWaitsForWhatIsOpen) {
  Start();
  EXPECT_THAT(Comes(1), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(On(event::Stopping{}), IsEmpty());
  (void)On(event::CaptureReleased{1, Worker(0)});
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(Ends(1), ElementsAre("Commit 1"));
  EXPECT_THAT(On(event::OrderDone{1}), ElementsAre("Forget 1", "Stopped"));
  EXPECT_THAT(On(event::Stopping{}), IsEmpty());
}

TEST_F(StopTest, AnIdleManagerStopsAtOnce) {
  Start();
  EXPECT_THAT(On(event::Stopping{}), ElementsAre("Stopped"));
}

TEST_F(StopTest, WhenTheTimeToStopIsOverEverythingIsLetGo) {
  Start();
  for (const CrashKey crash : {1, 2, 3}) (void)Comes(crash);
  for (CrashKey crash = 1; crash <= 3; ++crash) (void)On(event::ProcessExited{crash});
  (void)On(event::Stopping{});
  (void)Work(19s);
  (void)Comes(4);
  (void)Arrives(5, 1);
  for (CrashKey crash = 4; crash <= 5; ++crash) (void)On(event::ProcessExited{crash});
  EXPECT_THAT(Work(1s),
              ElementsAre("Release 4", "Record 4 failed: obitd was stopping while it waited for its turn",
                          "Release 5", "Record 5 failed: obitd was stopping", "Release 1", "Kill worker 0",
                          "Release 2", "Kill worker 1", "Release 3", "Kill worker 2", "LetJobsGo"));
  EXPECT_THAT(On(event::CaptureEnded{1, Worker(0), true}), ElementsAre("Commit 1")) << "it was faster";
  EXPECT_THAT(On(event::SeatLost{Worker(1), ""}), ElementsAre("Forget 2 left"))
      << "the next start recovers it";
  EXPECT_THAT(After(limits().die), Contains("Forget 3 left"));
  EXPECT_THAT(Arrives(6), ElementsAre("Release 6", "Record 6 failed: obitd was stopping"));
  (void)On(event::ProcessExited{6});
  for (const CrashKey crash : {1, 4, 5}) EXPECT_THAT(On(event::OrderDone{crash}), ElementsAre(_));
  EXPECT_THAT(On(event::OrderDone{6}), ElementsAre("Forget 6", "Stopped"));
}

TEST_F(StopTest, WhatAnEarlierOneLeftIsForTheNextWhenItStops) {
  setup_.workers = 1;
  Start();
  (void)Comes(1);
  (void)On(event::Abandoned{2, "old2", "why"});
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died"}), ElementsAre("Release 1"));
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(On(event::Stopping{}), ElementsAre("Forget 2 left"));
  EXPECT_THAT(On(event::Abandoned{3, "old3", "why"}), ElementsAre("Forget 3 left"));
  EXPECT_THAT(After(limits().stop), ElementsAre("Forget 1 left", "Stopped"));
}

}  // namespace
}  // namespace obit
