#include <fmt/format.h>

#include "manager/test_support.h"

namespace obit {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RecoveriesTest : public testing::ManagerTest {};

TEST_F(RecoveriesTest, UsersTakeTurns) {
  setup_.workers = 4;
  Start();
  constexpr uid_t kStorm = 1000, kOther = 1001;
  (void)Comes(1, kStorm);
  (void)Comes(2, kStorm);
  (void)Comes(3, kStorm);
  (void)Comes(4, kOther);
  for (std::uint32_t worker = 0; worker < 4; ++worker) (void)On(event::SeatLost{Worker(worker), "died"});
  (void)On(event::SeatReady{Worker(0, 2)});
  EXPECT_THAT(On(event::SeatReady{Worker(1, 2)}), Contains(HasSubstr("StartRecovery 1 worker 0.2")));
  (void)On(event::CaptureEnded{1, Worker(0, 2), true});
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), Contains(HasSubstr("StartRecovery 4 worker 0.2")))
      << "one user's cores do not all come first";
  (void)On(event::CaptureEnded{4, Worker(0, 2), true});
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), Contains(HasSubstr("StartRecovery 2 worker 0.2")));
  (void)On(event::CaptureEnded{2, Worker(0, 2), true});
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), Contains(HasSubstr("StartRecovery 3 worker 0.2")));
}

TEST_F(RecoveriesTest, OneThatTakesVeryLongKeepsNoOtherFromItsTurn) {
  setup_.workers = 2;
  Start();
  EXPECT_THAT(On(event::Abandoned{1, "old1", "why"}), ElementsAre("StartRecovery 1 worker 0 old1: why"));
  EXPECT_THAT(On(event::Abandoned{2, "old2", "why"}), IsEmpty());
  const auto most = limits().capture + limits().stored + limits().given_up;
  EXPECT_THAT(Work(std::chrono::duration_cast<std::chrono::seconds>(most) - std::chrono::seconds(5)),
              IsEmpty());
  EXPECT_THAT(Work(std::chrono::seconds(10)), Contains("LeaveBehind worker 0")) << "it may finish";
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), Contains("StartRecovery 2 worker 0.2 old2: why"));
  EXPECT_THAT(On(event::CaptureEnded{1, Worker(0), true}), Contains("Commit 1"));
}

}  // namespace
}  // namespace obit
