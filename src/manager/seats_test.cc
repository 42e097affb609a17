#include "manager/test_support.h"

namespace obit {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::StartsWith;

class SeatsTest : public testing::ManagerTest {};

TEST_F(SeatsTest, WorkersWhoseSeatsAreGoneEndWithTheirTasks) {
  setup_.workers = setup_.config.slots = 3;
  Start();
  (void)Comes(1, 1);
  (void)Comes(2, 2);
  setup_.config.slots = 1;
  EXPECT_THAT(On(event::Configured{setup_.config, setup_.limits}), ElementsAre("Kill worker 2"));
  EXPECT_THAT(Ends(2, 1), ElementsAre("Kill worker 1", "Release 2", "Commit 2"));
  EXPECT_THAT(Ends(1), ElementsAre("Release 1", "Commit 1"));
}

TEST_F(SeatsTest, WorkersThatDoNotDieCostTheirUserMoreOfThem) {
  setup_.limits.left_behind = 16;  // so two of them are too many
  setup_.workers = 1;
  Start();
  for (std::uint32_t crash = 1; crash <= 2; ++crash) {
    EXPECT_THAT(Comes(crash), ElementsAre(StartsWith(fmt::format("StartCapture {} worker 0", crash))));
    (void)After(limits().held);
    (void)On(event::ProcessExited{crash});
    EXPECT_THAT(After(limits().die + limits().die), Contains(StartsWith("LeaveBehind worker 0")));
    (void)On(event::SeatReady{Worker(0, crash + 1)});
    (void)On(event::CaptureEnded{crash, Worker(0, crash + 1), true});  // the recovery, if it began
    (void)On(event::SeatReady{Worker(0, crash + 1)});
  }
  EXPECT_THAT(Comes(3), ElementsAre("HoldJobs"));
  EXPECT_THAT(Comes(4, 1), ElementsAre("StartCapture 4 worker 0.3")) << "another user";
  (void)Ends(4, 0);
  (void)On(event::CaptureEnded{4, Worker(0, 3), true});
  (void)On(event::SeatReady{Worker(0, 3)});
  EXPECT_THAT(On(event::SeatLost{Worker(0, 1), "died"}), Contains("StartCapture 3 worker 0.3"));
}

}  // namespace
}  // namespace obit
