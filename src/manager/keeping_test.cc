// Memory of processes that are gone.

#include "manager/keeping.h"

#include <gmock/gmock.h>

#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class KeepingTest : public testing::ManagerTest {
 protected:
  /// A crash whose process goes first; its worker goes on aside, and another has its seat.
  Lines Keeps(CrashKey crash, std::uint32_t worker, std::uint32_t generation = 1) {
    Lines lines = On(event::CaptureReleased{crash, Worker(worker, generation), true});
    (void)On(event::ProcessExited{crash});
    return lines;
  }
  /// How it was begun.
  command::StartCapture Begins(CrashKey crash, uid_t uid = 1000) {
    (void)Arrives(crash, uid);
    (void)Requests(crash);
    const event::FactsFound facts{.crash = crash, .seat = Inspector(0), .last = true, .resident = kKeptMin};
    for (const Command& command : manager_->On(facts, now_))
      if (const auto* start = std::get_if<command::StartCapture>(&command)) return *start;
    ADD_FAILURE() << "crash " << crash << " is not captured";
    return {};
  }
};

TEST_F(KeepingTest, AnotherTakesTheSeatAtOnce) {
  setup_.workers = 1;
  Start();
  (void)Begins(1);
  EXPECT_THAT(Keeps(1, 0), ElementsAre("LeaveBehind worker 0"));
  EXPECT_EQ(manager_->load().left_behind, 0U) << "it is not for good";
  EXPECT_EQ(manager_->load().kept.processes, 1U);
  (void)On(event::SeatReady{Worker(0, 2)});
  EXPECT_THAT(Comes(2), ElementsAre("StartCapture 2 worker 0.2"));
  EXPECT_THAT(On(event::MemoryCopied{1, Worker(0)}), IsEmpty());
  EXPECT_EQ(manager_->load().kept.processes, 0U);
  EXPECT_THAT(Ends(1), ElementsAre("Kill worker 0", "Commit 1"));
}

TEST_F(KeepingTest, SomeAtOnceAreKeptAndHalfOfThemOfOneUser) {
  setup_.workers = 8;
  setup_.limits.kept_at_once = 4;
  Start();
  EXPECT_EQ(Begins(1).keep_refusal, KeepRefusal::kNone);
  EXPECT_EQ(Begins(2).keep_refusal, KeepRefusal::kNone);
  EXPECT_EQ(Begins(3).keep_refusal, KeepRefusal::kTooMany) << "of this user";
  (void)Keeps(1, 0);
  const command::StartCapture other = Begins(4, 1001);
  EXPECT_EQ(other.keep_refusal, KeepRefusal::kNone);
  EXPECT_EQ(other.kept, 2 * kKeptMin) << "what is kept, and what may be in a moment";
  EXPECT_EQ(Begins(5, 1002).keep_refusal, KeepRefusal::kNone);
  EXPECT_EQ(Begins(6, 1003).keep_refusal, KeepRefusal::kTooMany) << "in all";
  (void)On(event::CaptureReleased{2, Worker(1)});
  EXPECT_EQ(Begins(7, 1003).keep_refusal, KeepRefusal::kNone) << "one of them was held";
}

TEST_F(KeepingTest, NeverIfToldSo) {
  setup_.config.early_release = false;
  Start();
  EXPECT_EQ(Begins(1).keep_refusal, KeepRefusal::kConfigured);
}

TEST_F(KeepingTest, WhoMayNotKeepDoesNot) {
  setup_.config.early_release = false;
  Start();
  (void)Begins(1);
  EXPECT_THAT(Keeps(1, 0), IsEmpty());
  EXPECT_EQ(manager_->load().kept.processes, 0U);
}

/// It may be stopped, or frozen: SIGKILL ends that, and the memory is back.
TEST_F(KeepingTest, WhoDoesNotGoOnIsKilled) {
  Start();
  (void)Begins(1);
  (void)Keeps(1, 0);
  EXPECT_THAT(After(limits().die - 1ns), IsEmpty());
  EXPECT_THAT(After(1ns), ElementsAre("Kill worker 0"));
  EXPECT_THAT(On(event::SeatLost{Worker(0), "died of SIGKILL"}),
              Contains(StartsWith("StartRecovery 1 worker 1 crash1: who kept its memory did not go on")));
}

TEST_F(KeepingTest, ItsTimeIsBounded) {
  Start();
  (void)Begins(1);
  (void)Keeps(1, 0);
  EXPECT_THAT(Work(std::chrono::duration_cast<std::chrono::seconds>(limits().keep + limits().die) - 1s),
              IsEmpty());
  EXPECT_THAT(Work(1s), ElementsAre("Kill worker 0"));
}

TEST_F(KeepingTest, StoringTakesItsTimeAfterwards) {
  Start();
  (void)Begins(1);
  (void)Keeps(1, 0);
  (void)On(event::MemoryCopied{1, Worker(0)});
  EXPECT_THAT(After(limits().stored), Not(Contains("Kill worker 0")));
}

TEST_F(KeepingTest, AtAStopMemoryIsLetGo) {
  Start();
  (void)Begins(1);
  (void)Begins(2);
  (void)Keeps(1, 0);
  EXPECT_THAT(On(event::Stopping{}), Contains("Kill worker 0"));
  EXPECT_THAT(Keeps(2, 1), Contains("Kill worker 1"));
  EXPECT_THAT(On(event::SeatLost{Worker(0), ""}),
              Contains(StartsWith("StartRecovery 1 worker 2 crash1: obitd was stopping")));
}

TEST_F(KeepingTest, WhoWantsItBackGetsIt) {
  Start();
  (void)Begins(1);
  EXPECT_FALSE(manager_->Keeps("crash1"));
  EXPECT_THAT(On(event::LetGo{"crash1"}), IsEmpty()) << "it is read from a process that is held";
  (void)Keeps(1, 0);
  EXPECT_TRUE(manager_->Keeps("crash1"));
  EXPECT_THAT(On(event::LetGo{"crash2"}), IsEmpty());
  EXPECT_THAT(On(event::LetGo{"crash1"}), ElementsAre("Kill worker 0"));
}

}  // namespace
}  // namespace obit
