#include "server/pattern_watch.h"

#include <cerrno>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

/// A state that is told: whether the pattern leads here, whether that is news, and words of it.
auto Is(bool ours, bool news, const std::string& words) {
  return AllOf(Field(&PatternWatch::State::ours, ours), Field(&PatternWatch::State::news, news),
               Field(&PatternWatch::State::text, HasSubstr(words)));
}

constexpr const char* kHelper = "|/usr/libexec/obit/obit-pipe /run/o/pipe.socket F%F";

/// What is told when the looks see these patterns, one after the other; "" stands for one that cannot be
/// read.
std::vector<PatternWatch::State> Told(const std::vector<std::string>& patterns) {
  EventLoop loop = *EventLoop::Create();
  std::vector<PatternWatch::State> told;
  std::size_t looks = 0;
  PatternWatch watch(
      loop, {"/run/o/coredump.socket", "/run/o/pipe.socket"},
      [&]() -> Result<std::string> {
        const std::string& pattern = patterns[looks++];
        if (looks == patterns.size()) loop.Stop();
        if (pattern.empty()) return Fail(EACCES, "look");
        return pattern;
      },
      [&](const PatternWatch::State& now) { told.push_back(now); });
  watch.Start(1us);
  EXPECT_TRUE(loop.Run());
  EXPECT_EQ(looks, patterns.size());
  return told;
}

TEST(PatternWatch, TellsOnceThatThePatternLeadsHereAndThatThisIsNoNews) {
  EXPECT_THAT(Told({kHelper, kHelper, kHelper}), ElementsAre(Is(true, false, "come here")));
}

TEST(PatternWatch, TellsOfEachChangeOnce) {
  EXPECT_THAT(
      Told({kHelper, "core", "core", "core", kHelper, kHelper, "@@/run/o/coredump.socket",
            "|/bin/apport -p%p"}),
      ElementsAre(Is(true, false, "come here"), Is(false, true, "do not come here: core_pattern is \"core\""),
                  Is(true, true, "come here"), Is(true, true, "@@/run/o"), Is(false, true, "apport")));
}

TEST(PatternWatch, ThatThePatternLeadsElsewhereIsNewsAtOnce) {
  EXPECT_THAT(Told({"@@/run/another/coredump.socket", "@@/run/another/coredump.socket"}),
              ElementsAre(Is(false, true, "another")));
}

TEST(PatternWatch, TellsOfAPatternThatCannotBeRead) {
  EXPECT_THAT(
      Told({kHelper, "", "", kHelper}),
      ElementsAre(Is(true, false, ""), Is(false, true, "cannot be read"), Is(true, true, "come here")));
}

TEST(PatternWatch, EscapesWhatItShows) {
  EXPECT_THAT(Told({"a\033[31mb", "core"}),
              ElementsAre(Is(false, true, "a\\x1b[31mb"), Is(false, true, "core")));
}

}  // namespace
}  // namespace obit
