#include "render/times.h"

#include <cstdlib>
#include <ctime>

#include <gtest/gtest.h>

namespace obit {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = 1'795'442'531 * kSecond;  // 2026-11-23 14:02:11 UTC, a Monday

/// Local times depend on the zone: these tests choose one.
class Times : public ::testing::Test {
 protected:
  void SetUp() override { UseZone("UTC"); }
  static void UseZone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
};

TEST_F(Times, OfTodayHaveNoDate) {
  EXPECT_EQ(FormatMoment(kNow, kNow), "today 14:02:11");
  EXPECT_EQ(FormatMomentInProse(kNow, kNow), "today at 14:02:11");
}

TEST_F(Times, OfAnotherDayHaveOne) {
  EXPECT_EQ(FormatMoment(kNow - 86400 * kSecond, kNow), "2026-11-22 14:02");
  EXPECT_EQ(FormatMomentInProse(kNow - 365LL * 86400 * kSecond, kNow), "on 2025-11-23 at 14:02:11");
  EXPECT_EQ(FormatMoment(-1, kNow), "1969-12-31 23:59");
}

TEST_F(Times, TodayIsThatOfTheLocalZone) {
  const std::int64_t hours_before = kNow - 15 * 3600 * kSecond;  // 23:02 of the day before, UTC
  EXPECT_EQ(FormatMoment(hours_before, kNow), "2026-11-22 23:02");
  UseZone("CET-1");
  EXPECT_EQ(FormatMoment(hours_before, kNow), "today 00:02:11");
}

TEST_F(Times, SinceTakesSpans) {
  EXPECT_EQ(ParseSince("90s", kNow), kNow - 90 * kSecond);
  EXPECT_EQ(ParseSince("30min", kNow), kNow - 1800 * kSecond);
  EXPECT_EQ(ParseSince("2h", kNow), kNow - 7200 * kSecond);
  EXPECT_EQ(ParseSince("3d", kNow), kNow - 3 * 86400 * kSecond);
  EXPECT_EQ(ParseSince("1w", kNow), kNow - 7 * 86400 * kSecond);
}

TEST_F(Times, SinceTakesLocalDates) {
  const std::int64_t midnight = kNow - (14 * 3600 + 2 * 60 + 11) * kSecond;
  EXPECT_EQ(ParseSince("today", kNow), midnight);
  EXPECT_EQ(ParseSince("2026-11-23", kNow), midnight);
  EXPECT_EQ(ParseSince("2026-11-23 14:02", kNow), kNow - 11 * kSecond);
  EXPECT_EQ(ParseSince("2026-11-23T14:02:11", kNow), kNow);
  UseZone("CET-1");
  EXPECT_EQ(ParseSince("2026-11-23 15:02:11", kNow), kNow);
}

TEST_F(Times, SinceRefusesWhatIsNeither) {
  for (const char* text : {"", "h", "2", "2 h", "-2h", "2hours", "2026-02-31", "2026-13-01", "2026-11-23 x",
                           "yesterday", "99999999999999999999d", "1000001w"})
    EXPECT_EQ(ParseSince(text, kNow), std::nullopt) << text;
}

}  // namespace
}  // namespace obit
