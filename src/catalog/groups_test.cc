#include "catalog/groups.h"

#include "base/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::IsEmpty;
using testing::Succeeds;

CrashSummary Crash(std::int64_t time, std::optional<GroupKey> group) {
  CrashSummary crash;
  crash.time = time;
  crash.group = group;
  return crash;
}

constexpr GroupKey kOne{1, 0xa71c09'0000000001}, kTwo{1, 0xb000000000000000}, kOldOne{0, kOne.value};

TEST(GroupCrashes, ThoseOfOneVersionAndValueAreTogetherOldestFirst) {
  const std::vector<CrashSummary> crashes{Crash(1, kOne), Crash(2, kTwo), Crash(3, {}), Crash(4, kOne),
                                          Crash(5, kOldOne)};
  const auto groups = GroupCrashes(crashes);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_THAT(groups[0].crashes, ElementsAre(&crashes[1]));
  EXPECT_THAT(groups[1].crashes, ElementsAre(&crashes[0], &crashes[3]));
  EXPECT_THAT(groups[2].crashes, ElementsAre(&crashes[4]));
  EXPECT_THAT(GroupCrashes({}), IsEmpty());
}

TEST(GroupDigits, AsManyAsTellThemApart) {
  const auto digits = [](std::vector<std::uint64_t> values) {
    std::vector<CrashGroup> groups;
    for (const std::uint64_t value : values) groups.push_back({{1, value}, {}});
    return GroupDigits(groups);
  };
  EXPECT_EQ(digits({}), 6u);
  EXPECT_EQ(digits({0xa71c090000000000, 0xb71c090000000000}), 6u);
  EXPECT_EQ(digits({0xa71c091000000000, 0xa71c092000000000}), 7u);
  EXPECT_EQ(digits({0xa71c090000000001, 0x1, 0xa71c090000000002}), 16u);
  EXPECT_EQ(digits({0xa71c090000000001, 0xa71c090000000001}), 6u);
}

TEST(SelectGroup, ByTheBeginningOfItsId) {
  const std::vector<CrashSummary> crashes{Crash(1, kOne), Crash(2, GroupKey{1, 0xa800000000000000}),
                                          Crash(3, kOldOne)};
  const auto groups = GroupCrashes(crashes);
  const auto select = [&](const char* selector) { return SelectGroup(groups, selector); };
  ASSERT_THAT(select("a7"), Succeeds());
  EXPECT_EQ((*select("a7"))->key, kOne) << "the newer version";
  EXPECT_EQ((*select("a8"))->crashes.front(), &crashes[1]);
  EXPECT_THAT(select("a"), FailsWith(ENOTUNIQ));
  EXPECT_EQ(select("a").error().what, "\"a\" matches 2 groups: a71c09, a80000. Give more digits");
  for (const char* none : {"", "b", "a71c0900000000010", "A7"})
    EXPECT_THAT(select(none), FailsWith(ENOENT)) << none;
}

}  // namespace
}  // namespace obit
