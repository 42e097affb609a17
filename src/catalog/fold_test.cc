#include "catalog/fold.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "crash/loop_reason.h"

namespace obit {
namespace {

using ::testing::ElementsAre;

class FoldTest : public ::testing::Test {
 protected:
  FoldTest() { crashes_.reserve(20); }

  CrashSummary& Add(const char* comm, std::uint64_t group, std::uint64_t repeats = 0) {
    CrashSummary& crash = crashes_.emplace_back();
    crash.location.id = fmt::format("{}", crashes_.size());
    crash.time = static_cast<std::int64_t>(crashes_.size());
    crash.comm = comm;
    crash.signal = 11;
    crash.stored_bytes = 100;
    crash.repeats = repeats;
    if (group > 0) crash.group = GroupKey{1, group};
    return crash;
  }
  /// One of a loop, without a core.
  CrashSummary& AddEvent(const char* comm, const char* like) {
    CrashSummary& crash = Add(comm, 0);
    crash.stored_bytes = 0;
    crash.reason = LoopReason("it has had 4 cores", like);
    return crash;
  }
  /// "ID COUNT at TIME" of each line.
  [[nodiscard]] std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const FoldedCrash& line : FoldLoops(crashes_))
      lines.push_back(
          fmt::format("{} {} at {}", line.crash->location.id, CountText(line.all, line.kept()), line.time));
    return lines;
  }
  std::vector<CrashSummary> crashes_;
};

TEST_F(FoldTest, ALoopIsOneLine) {
  Add("a", 1);
  Add("a", 1);
  Add("b", 2);
  Add("a", 1, 200);
  AddEvent("a", "4");
  Add("c", 3);
  AddEvent("a", "4");
  EXPECT_THAT(Lines(), ElementsAre("3 1 at 3", "6 1 at 6", "4 205, 5 kept at 7"));
}

TEST_F(FoldTest, WhatIsNoLoopIsNot) {
  Add("a", 1);
  Add("a", 1);
  Add("a", 0);
  AddEvent("a", "").reason = "the process has RLIMIT_CORE 0";
  EXPECT_THAT(Lines(), ElementsAre("1 1 at 1", "2 1 at 2", "3 1 at 3", "4 1 at 4"));
}

TEST_F(FoldTest, CrashesOfAGroupThatAreNotOfTheLoopKeepTheirLines) {
  constexpr std::int64_t kHour = 3'600'000'000'000;
  Add("a", 1);
  Add("b", 1).time = 3 * kHour;
  Add("a", 1).time = 3 * kHour;
  Add("a", 1).uid = 7;
  Add("a", 1, 5).time = 3 * kHour + 1;
  Add("a", 1).time = 3 * kHour + 2;
  EXPECT_THAT(Lines(), ElementsAre("1 1 at 1", "2 1 at 10800000000000", "4 1 at 4",
                                   "5 7, 2 kept at 10800000000001", "6 1 at 10800000000002"));
}

TEST_F(FoldTest, AnUnanalysedCrashHidesBehindNoOther) {
  Add("a", 0, 9);
  Add("a", 0);
  Add("a", 0, 2);
  EXPECT_THAT(Lines(), ElementsAre("1 10, 1 kept at 1", "2 1 at 2", "3 3, 1 kept at 3"));
}

TEST_F(FoldTest, EventsAreOfTheLoopThatTheyName) {
  Add("a", 1);
  Add("a", 2);
  AddEvent("a", "1");
  AddEvent("a", "2");
  AddEvent("a", "gone");
  AddEvent("a", "gone").signal = 6;
  AddEvent("a", "");
  EXPECT_THAT(Lines(), ElementsAre("1 2 at 3", "2 2 at 4", "6 2 at 6", "7 1 at 7"));
}

TEST_F(FoldTest, ItsTimeIsThatOfTheLastWhichWasCounted) {
  Add("a", 1, 3).last_repeat = 50;
  Add("b", 2);
  EXPECT_THAT(Lines(), ElementsAre("1 4, 1 kept at 50", "2 1 at 2"));
}

TEST_F(FoldTest, WhatHadACoreOnceIsShownByOneThatHas) {
  Add("a", 1).core_removed = false;
  Add("a", 1, 5).core_removed = true;
  AddEvent("a", "2");
  EXPECT_EQ(Lines().front(), "1 1 at 1");
  crashes_[1].core_removed = false;
  crashes_[0].core_removed = true;
  EXPECT_EQ(Lines().front(), "1 1 at 1");
}

TEST_F(FoldTest, WhatWasNotAnalysedHasTheGroupOfItsLoop) {
  Add("a", 1);
  AddEvent("a", "1");
  AddEvent("a", "gone");
  Add("a", 0);
  GroupLoops(crashes_);
  EXPECT_EQ(crashes_[1].group, crashes_[0].group);
  EXPECT_FALSE(crashes_[2].group);
  EXPECT_FALSE(crashes_[3].group);
}

TEST_F(FoldTest, TheCrashesOfSomeLines) {
  Add("a", 1);
  Add("b", 2);
  AddEvent("a", "1");
  const auto lines = FoldLoops(crashes_);
  EXPECT_EQ(CrashesOf(std::span(lines).last(1)).size(), 2u);
  EXPECT_EQ(CrashesOf(lines)[1].comm, "b");
}

TEST_F(FoldTest, UnfoldedEachIsALine) {
  Add("a", 1, 5);
  AddEvent("a", "1");
  const auto lines = Unfolded(crashes_);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(CountText(lines[0].all, lines[0].kept()), "6, 1 kept");
  EXPECT_EQ(CountText(lines[1].all, lines[1].kept()), "1");
}

}  // namespace
}  // namespace obit
