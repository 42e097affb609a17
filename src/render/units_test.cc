#include "render/units.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(FormatBytes, HasTwoOrThreeDigitsAndTheUnit) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(17), "17 B");
  EXPECT_EQ(FormatBytes(412 << 10), "412 KiB");
  EXPECT_EQ(FormatBytes(1ULL << 30), "1.0 GiB");
  EXPECT_EQ(FormatBytes(58ULL << 20), "58 MiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16 EiB");
}

TEST(FormatBytes, NeverRoundsUpToAnOddNumberOfTheSmallerUnit) {
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes((1 << 20) - 1), "1.0 MiB");  // not 1024 KiB
  EXPECT_EQ(FormatBytes(10 * 1024 - 1), "10 KiB");   // not 10.0 KiB
}

TEST(FormatDuration, FitsTheSizeOfTheSpan) {
  EXPECT_EQ(FormatDuration(0), "0 s");
  EXPECT_EQ(FormatDuration(-1), "0 s");
  EXPECT_EQ(FormatDuration(0.00028), "0.28 ms");
  EXPECT_EQ(FormatDuration(0.004), "4 ms");
  EXPECT_EQ(FormatDuration(0.58), "0.58 s");
  EXPECT_EQ(FormatDuration(12.4), "12 s");
  EXPECT_EQ(FormatDuration(59.6), "1 min 0 s");
  EXPECT_EQ(FormatDuration(200), "3 min 20 s");
  EXPECT_EQ(FormatDuration(2 * 3600 + 5 * 60), "2 h 5 min");
  EXPECT_EQ(FormatDuration(3 * 86400 + 2 * 3600), "3 d 2 h");
}

TEST(FormatDuration, HoldsAnyNumber) {
  EXPECT_FALSE(FormatDuration(1e300).empty());
  EXPECT_EQ(FormatDuration(std::numeric_limits<double>::quiet_NaN()), "0 s");
}

TEST(FormatCount, KnowsThePlural) {
  EXPECT_EQ(FormatCount(1, "crash"), "1 crash");
  EXPECT_EQ(FormatCount(0, "crash"), "0 crashes");
  EXPECT_EQ(FormatCount(4, "thread"), "4 threads");
}

}  // namespace
}  // namespace obit
