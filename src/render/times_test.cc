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

TEST_F(Times, ABeginningHasTheNameOfItsDay) {
  constexpr std::int64_t kDay = 86400 * kSecond;
  EXPECT_EQ(FormatBeginning(kNow, kNow), "14:02");
  EXPECT_EQ(FormatBeginning(kNow - 15 * 3600 * kSecond, kNow), "yesterday");
  EXPECT_EQ(FormatBeginning(kNow - 2 * kDay, kNow), "Saturday");
  EXPECT_EQ(FormatBeginning(kNow - 6 * kDay, kNow), "Tuesday");
  EXPECT_EQ(FormatBeginning(kNow - 7 * kDay, kNow), "2026-11-16");
  EXPECT_EQ(FormatBeginning(kNow - 400 * kDay, kNow), "2025-10-19");
  EXPECT_EQ(FormatBeginning(kNow + kDay, kNow), "2026-11-24") << "a clock that was wrong";
}

TEST_F(Times, YesterdayIsTheDayBeforeWhereClocksChange) {
  UseZone("CET-1CEST,M3.5.0,M10.5.0/3");
  const std::int64_t sunday = 1'792'886'400 * kSecond;  // 2026-10-25 00:00 UTC, 02:00 there; it has 25 hours
  EXPECT_EQ(FormatBeginning(sunday - 3 * 3600 * kSecond, sunday + 22 * 3600 * kSecond), "yesterday");
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
  EXPECT_GT(ParseSince("2999-01-01", kNow), kNow) << "more ns than there are numbers";
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
