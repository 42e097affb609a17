#include "server/supervisor_seats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
constexpr std::int64_t kMillisecond = 1'000'000, kSecond = 1000 * kMillisecond;

class SupervisorSeatsTest : public ::testing::Test {
 protected:
  SupervisorSeatsTest() { seats_.SetCount(Role::kWorker, 2); }
  /// Who is forked for the first empty seat.
  pid_t Fill(std::int64_t now) {
    const auto due = seats_.Due(Role::kWorker, now);
    EXPECT_FALSE(due.empty());
    return due.empty() ? -1 : seats_.Sit(due.front(), ++last_pid_, now).pid;
  }
  SupervisorSeats seats_{{}};
  pid_t last_pid_ = 100;
};

TEST_F(SupervisorSeatsTest, EachWhoSitsHasAGenerationOfHisOwn) {
  EXPECT_THAT(seats_.Due(Role::kWorker, 0),
              ElementsAre(Seat{Role::kWorker, 0, 1}, Seat{Role::kWorker, 1, 1}));
  EXPECT_THAT(seats_.Due(Role::kClerk, 0), IsEmpty());
  const pid_t first = Fill(0);
  EXPECT_THAT(seats_.Due(Role::kWorker, 0), ElementsAre(Seat{Role::kWorker, 1, 1}));
  EXPECT_EQ(seats_.At(Role::kWorker, 0)->pid, first);
  EXPECT_EQ(seats_.At(Role::kWorker, 1), nullptr);
  EXPECT_EQ(seats_.At(Role::kWorker, 99), nullptr);
  EXPECT_EQ(seats_.At(static_cast<Role>(99), 0), nullptr);  // as a message may ask
  EXPECT_EQ(seats_.Take(first, 5 * kSecond, true)->seat.generation, 1U);
  EXPECT_FALSE(seats_.Take(first, 5 * kSecond, true));
  EXPECT_EQ(seats_.Due(Role::kWorker, 5 * kSecond).front().generation, 2U);
}

TEST_F(SupervisorSeatsTest, WhoDiesAtOnceIsReplacedLaterAndLater) {
  std::int64_t now = 0;
  std::vector<std::int64_t> pauses;
  for (int i = 0; i < 8; ++i) {
    (void)seats_.Take(Fill(now), now, true);
    if (i == 0) Fill(now);  // the other seat
    const std::int64_t next = seats_.NextDue(now);
    EXPECT_THAT(seats_.Due(Role::kWorker, next - 1), IsEmpty());
    pauses.push_back((next - now) / kMillisecond);
    now = next;
  }
  EXPECT_THAT(pauses, ElementsAre(100, 200, 400, 800, 1600, 3200, 5000, 5000));
  // One that has lived is replaced at once, and all is forgotten.
  const pid_t lived = Fill(now);
  now += kSecond;
  (void)seats_.Take(lived, now, true);
  (void)seats_.Take(Fill(now), now, true);
  EXPECT_EQ(seats_.NextDue(now), now + 100 * kMillisecond);
}

TEST_F(SupervisorSeatsTest, WhoIsNotToBlameIsReplacedAtOnce) {
  (void)seats_.Take(Fill(0), 0, false);
  EXPECT_EQ(seats_.Due(Role::kWorker, 0).size(), 2U);
}

TEST_F(SupervisorSeatsTest, WhoCannotBeForkedIsTriedAgainLater) {
  seats_.Fail({Role::kWorker, 0, 1}, 0);
  EXPECT_THAT(seats_.Due(Role::kWorker, 0), ElementsAre(Seat{Role::kWorker, 1, 1}));
  EXPECT_EQ(seats_.NextDue(0), 100 * kMillisecond);
}

TEST_F(SupervisorSeatsTest, WhoIsLeftBehindFreesTheSeatAndIsKnownUntilHeDies) {
  const pid_t old = Fill(0);
  seats_.Leave(*seats_.Find(old));
  EXPECT_TRUE(seats_.IsLeft(*seats_.Find(old)));
  EXPECT_EQ(seats_.left_behind(), 1U);
  const pid_t next = Fill(0);
  EXPECT_EQ(seats_.At(Role::kWorker, 0)->seat, (Seat{Role::kWorker, 0, 2}));
  const auto dead = seats_.Take(old, 0, true);
  EXPECT_EQ(dead->seat, (Seat{Role::kWorker, 0, 1}));
  EXPECT_EQ(seats_.At(Role::kWorker, 0)->pid, next);
}

TEST_F(SupervisorSeatsTest, SurplusSeatsStayUntilWhoSitsThereDies) {
  Fill(0);
  const pid_t surplus = Fill(0);
  seats_.SetCount(Role::kWorker, 1);
  EXPECT_NE(seats_.At(Role::kWorker, 1), nullptr);
  EXPECT_TRUE(seats_.Take(surplus, 0, true));
  EXPECT_THAT(seats_.Due(Role::kWorker, kSecond), IsEmpty());
  EXPECT_EQ(seats_.NextDue(0), INT64_MAX);
  seats_.SetCount(Role::kWorker, 3);
  EXPECT_EQ(seats_.Due(Role::kWorker, kSecond).size(), 2U);
}

}  // namespace
}  // namespace obit
