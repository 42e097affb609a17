#include "policy/steady_clock.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000, kDay = 24 * kHour, kToday = 20'000 * kDay;

TEST(SteadyClock, CountsAfterAnHour) {
  SteadyClock clock;
  EXPECT_FALSE(clock.IsSteady(kToday, 0));
  EXPECT_FALSE(clock.IsSteady(kToday + kHour - 1, kHour - 1));
  EXPECT_TRUE(clock.IsSteady(kToday + kHour, kHour));
  EXPECT_TRUE(clock.IsSteady(kToday + 2 * kHour - kDay, 2 * kHour)) << "small steps are all the same";
  EXPECT_FALSE(clock.has_jumped());
}

TEST(SteadyClock, AJumpBeginsTheHourAnew) {
  SteadyClock clock;
  EXPECT_FALSE(clock.IsSteady(0, 0)) << "1970";
  EXPECT_FALSE(clock.IsSteady(kToday + kHour, kHour));
  EXPECT_TRUE(clock.has_jumped());
  EXPECT_FALSE(clock.IsSteady(kToday + 2 * kHour - 1, 2 * kHour - 1));
  EXPECT_TRUE(clock.IsSteady(kToday + 2 * kHour, 2 * kHour));
  EXPECT_FALSE(clock.IsSteady(kToday + 365 * kDay, 3 * kHour));
}

}  // namespace
}  // namespace obit
