#include "base/clock.h"

#include "base/test_support.h"

namespace obit {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000, kDay = 86400 * kSecond;

TEST(FormatTimestamp, WritesUtcWithNanoseconds) {
  EXPECT_EQ(FormatTimestamp(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatTimestamp(1'795'442'531 * kSecond + 1), "2026-11-23T14:02:11.000000001Z");
  EXPECT_EQ(FormatTimestamp(951'782'400 * kSecond), "2000-02-29T00:00:00.000000000Z");
}

TEST(FormatTimestamp, CountsDownBefore1970) {
  EXPECT_EQ(FormatTimestamp(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(FormatTimestamp(-kSecond), "1969-12-31T23:59:59.000000000Z");
}

TEST(FormatDay, IsTheUtcDay) {
  EXPECT_EQ(FormatDay(kDay - 1), "1970-01-01");
  EXPECT_EQ(FormatDay(kDay), "1970-01-02");
  EXPECT_EQ(FormatDay(-1), "1969-12-31");
}

TEST(ParseTimestamp, ReadsWhatFormatTimestampWrites) {
  for (const std::int64_t time :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, kSecond, -kSecond, -kSecond - 1, kDay, -kDay,
        1'795'442'531 * kSecond + 123'456'789, INT64_MIN, INT64_MAX})
    EXPECT_EQ(ParseTimestamp(FormatTimestamp(time)), time);
}

TEST(ParseTimestamp, TakesAnyNumberOfFractionDigits) {
  EXPECT_EQ(ParseTimestamp("1970-01-01T00:00:01Z"), kSecond);
  EXPECT_EQ(ParseTimestamp("1970-01-01T00:00:01.5Z"), kSecond + kSecond / 2);
  EXPECT_EQ(ParseTimestamp("1970-01-01T00:00:01.000000002Z"), kSecond + 2);
}

TEST(ParseTimestamp, RefusesWhatIsNoTime) {
  for (const char* text : {"",
                           "Z",
                           "1970-01-01",
                           "1970-01-01T00:00:00",
                           "1970-01-01 00:00:00Z",
                           "1970-01-01T00:00:00+00:00",
                           "1970-13-01T00:00:00Z",
                           "1970-00-01T00:00:00Z",
                           "1970-02-30T00:00:00Z",
                           "1970-01-01T24:00:00Z",
                           "1970-01-01T00:60:00Z",
                           "1970-01-01T00:00:61Z",
                           "1970-01-01T00:00:00.Z",
                           "1970-01-01T00:00:00.1234567890Z",
                           "1970-01-01T00:00:00.-1Z",
                           "1970-01-01T00:00:00,5Z",
                           "1970-01-01T00:00:00ZZ",
                           "+970-01-01T00:00:00Z",
                           "1970-01-01T00:00:0 Z",
                           " 1970-01-01T00:00:00Z"})
    EXPECT_FALSE(ParseTimestamp(text)) << text;
}

TEST(ParseTimestamp, RefusesTimesThatDoNotFit) {
  EXPECT_EQ(ParseTimestamp("2262-04-11T23:47:16.854775807Z"), INT64_MAX);
  EXPECT_FALSE(ParseTimestamp("2262-04-11T23:47:16.854775808Z"));
  EXPECT_EQ(ParseTimestamp("1677-09-21T00:12:43.145224192Z"), INT64_MIN);
  EXPECT_FALSE(ParseTimestamp("1677-09-21T00:12:43.145224191Z"));
  EXPECT_FALSE(ParseTimestamp("9999-12-31T23:59:59Z"));
  EXPECT_FALSE(ParseTimestamp("0000-01-01T00:00:00Z"));
}

TEST(MonotonicNow, DoesNotRunBackwards) {
  const std::int64_t before = MonotonicNow();
  EXPECT_LE(before, MonotonicNow());
}

TEST(RealtimeNow, IsAfterThisWasWritten) { EXPECT_GT(RealtimeNow(), ParseTimestamp("2024-01-01T00:00:00Z")); }

}  // namespace
}  // namespace obit
