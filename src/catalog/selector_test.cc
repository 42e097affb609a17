#include "catalog/selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using ::testing::HasSubstr;

CrashSummary Crash(const std::string& id, pid_t pid, const std::string& comm,
                   CrashOutcome outcome = CrashOutcome::kFull) {
  return {.location = {"2026-11-23", id},
          .pid = pid,
          .comm = comm,
          .exe = "/opt/bin/" + comm + "-1.2",
          .outcome = outcome};
}

/// Oldest first, as in a list.
const std::vector<CrashSummary> kCrashes{Crash("1111000000000000", 100, "imgproxy"),
                                         Crash("1122000000000000", 200, "postgres"),
                                         Crash("3333000000000000", 100, "python3"),
                                         Crash("4444000000000000", 0, "imgproxy", CrashOutcome::kEvent)};

std::string IdOf(std::string_view selector) {
  const auto selected = SelectCrash(kCrashes, selector);
  return selected ? selected->crash->location.id.substr(0, 4) : selected.error().what;
}

TEST(SelectCrash, CountsFromTheNewest) {
  EXPECT_EQ(IdOf("@1"), "4444");
  EXPECT_EQ(IdOf("@4"), "1111");
  for (const char* odd : {"@0", "@5", "@", "@x", "@-1", "@1x"})
    EXPECT_THAT(SelectCrash(kCrashes, odd), FailsWith(ENOENT)) << odd;
}

TEST(SelectCrash, TakesAUniqueBeginningOfAnId) {
  EXPECT_EQ(IdOf("112"), "1122");
  EXPECT_EQ(IdOf("3333000000000000"), "3333");
  EXPECT_EQ(IdOf("3"), "3333");
}

TEST(SelectCrash, RefusesTheBeginningOfSeveralIds) {
  const auto selected = SelectCrash(kCrashes, "11");
  ASSERT_THAT(selected, FailsWith(ENOTUNIQ));
  EXPECT_EQ(selected.error().what,
            "\"11\" matches 2 crashes: 11220000 postgres, 11110000 imgproxy. Give more digits");
}

TEST(SelectCrash, TakesTheNewestOfAPid) {
  const auto selected = SelectCrash(kCrashes, "100");
  ASSERT_TRUE(selected);
  EXPECT_EQ(selected->crash->location.id, "3333000000000000");
  EXPECT_EQ(selected->others, 1u);
}

TEST(SelectCrash, APidGoesBeforeTheBeginningOfAnId) {
  auto crashes = kCrashes;
  crashes.push_back(Crash("2000000000000000", 7, "sh"));
  const auto selected = SelectCrash(crashes, "200");
  ASSERT_TRUE(selected);
  EXPECT_EQ(selected->crash->comm, "postgres");
}

TEST(SelectCrash, PidZeroIsNobodys) { EXPECT_THAT(SelectCrash(kCrashes, "0"), FailsWith(ENOENT)); }

TEST(SelectCrash, TakesTheNewestOfAProgramAndNamesTheWholeOne) {
  for (const char* name : {"imgproxy", "imgproxy-1.2"}) {
    const auto selected = SelectCrash(kCrashes, name);
    ASSERT_TRUE(selected) << name;
    EXPECT_EQ(selected->crash->location.id, "4444000000000000");
    EXPECT_EQ(selected->others, 1u);
    ASSERT_NE(selected->whole, nullptr);
    EXPECT_EQ(selected->whole->location.id, "1111000000000000");
  }
}

TEST(SelectCrash, AProgramMayLookLikeTheBeginningOfSeveralIds) {
  auto crashes = kCrashes;
  crashes.push_back(Crash("5000000000000000", 7, "11"));
  const auto selected = SelectCrash(crashes, "11");
  ASSERT_TRUE(selected);
  EXPECT_EQ(selected->crash->pid, 7);
}

TEST(SelectCrash, SaysWhatThereIsInstead) {
  const auto selected = SelectCrash(kCrashes, "7c");
  ASSERT_THAT(selected, FailsWith(ENOENT));
  EXPECT_EQ(
      selected.error().what,
      "no crash matches \"7c\". Newest: 44440000 imgproxy, 33330000 python3, 11220000 postgres (obit list)");
  EXPECT_THAT(SelectCrash({}, "@1").error().what, HasSubstr("no crashes"));
  EXPECT_THAT(SelectCrash(kCrashes, ""), FailsWith(ENOENT));
}

TEST(MatchingCrashes, TakesAllThatFit) {
  EXPECT_EQ(MatchingCrashes(kCrashes, "imgproxy").size(), 2u);
  EXPECT_EQ(MatchingCrashes(kCrashes, "11").size(), 2u);
  EXPECT_EQ(MatchingCrashes(kCrashes, "100").size(), 2u);
  EXPECT_EQ(MatchingCrashes(kCrashes, "@2").size(), 1u);
  EXPECT_TRUE(MatchingCrashes(kCrashes, "").empty());
  EXPECT_TRUE(MatchingCrashes(kCrashes, "img").empty());
}

}  // namespace
}  // namespace obit
