#include "base/user_ranges.h"

#include "base/test_support.h"

namespace obit {
namespace {

TEST(UserRanges, AllOfARangeAreOneUser) {
  const UserRanges ranges("alice:100000:65536\nbob:165536:65536\n1002:300000:10\n");
  EXPECT_EQ(ranges.ShareOf(100'000), 100'000U);
  EXPECT_EQ(ranges.ShareOf(165'535), 100'000U);
  EXPECT_EQ(ranges.ShareOf(165'536), 165'536U);
  EXPECT_EQ(ranges.ShareOf(300'009), 300'000U);
}

TEST(UserRanges, ThoseThatOverlapAreOne) {
  const UserRanges ranges("root:1000000:1000000000\nbob:1017504:65536\nalice:900000000:1000000000\n");
  for (const uid_t uid : {1'000'000U, 1'017'504U, 2'000'000U, 1'899'999'999U})
    EXPECT_EQ(ranges.ShareOf(uid), 1'000'000U) << uid;
  EXPECT_EQ(ranges.ShareOf(1'900'000'000), 1'900'000'000U);
}

TEST(UserRanges, WhoIsInNoneStandsForHimself) {
  const UserRanges ranges("alice:100000:65536\n");
  for (const uid_t uid : {0U, 1000U, 99'999U, 165'536U, 4'294'967'294U}) EXPECT_EQ(ranges.ShareOf(uid), uid);
  EXPECT_EQ(UserRanges().ShareOf(1000), 1000U);
}

TEST(UserRanges, LinesThatAreNoneAreLeftOut) {
  const UserRanges ranges(
      "\n# alice\nalice:1000\nalice:x:10\nalice:-5:10\nroot:0:65536\npodman:1:999\nalice:500000:0\n"
      "alice:99999999999:10\nalice:4294967290:18446744073709551615\n  bob:200000:5  \n");
  EXPECT_EQ(ranges.ShareOf(1), 1U);
  EXPECT_EQ(ranges.ShareOf(1001), 1001U);
  EXPECT_EQ(ranges.ShareOf(4'294'967'294), 4'294'967'290U);
  EXPECT_EQ(ranges.ShareOf(200'004), 200'000U);
}

TEST(UserRanges, AFileThatIsNotThereHasNone) {
  EXPECT_EQ(ReadUserRanges("/nowhere/subuid").ShareOf(100'001), 100'001U);
}

}  // namespace
}  // namespace obit
