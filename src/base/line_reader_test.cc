#include "base/line_reader.h"

#include <fstream>
#include <string>
#include <vector>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::TemporaryFolder;

std::vector<std::string> LinesOf(const std::string& text, std::size_t max = SIZE_MAX) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << text;
  const Fd file = *Open(folder / "file", O_RDONLY);
  const auto room = LineReader::MakeRoom();
  LineReader reader(file, *room, max);
  std::vector<std::string> lines;
  while (const auto line = reader.Next()) lines.emplace_back(*line);
  return lines;
}

TEST(LineReader, GivesEachLine) {
  EXPECT_THAT(LinesOf("one\n\ntwo\n"), ElementsAre("one", "", "two"));
  EXPECT_THAT(LinesOf(""), IsEmpty());
  EXPECT_THAT(LinesOf("\n"), ElementsAre(""));
}

TEST(LineReader, GivesALastLineThatDoesNotEnd) {
  EXPECT_THAT(LinesOf("one\ntwo"), ElementsAre("one", "two"));
}

TEST(LineReader, ReadsOnWhereItsRoomEnds) {
  std::string text;
  std::vector<std::string> lines;
  for (int i = 0; i < 30'000; ++i) {
    lines.push_back("/usr/share/doc/package/" + std::to_string(i * 7919));
    text += lines.back() + "\n";
  }
  ASSERT_GT(text.size(), 10 * LineReader::kLineMax);
  EXPECT_EQ(LinesOf(text), lines);
}

TEST(LineReader, LeavesOutALineThatIsTooLongAndNothingElse) {
  const std::string longest(LineReader::kLineMax - 1, 'a'), longer(LineReader::kLineMax, 'b'),
      much_longer(3 * LineReader::kLineMax + 5, 'c');
  EXPECT_EQ(LinesOf(longest + "\nnext\n"), (std::vector<std::string>{longest, "next"}));
  EXPECT_THAT(LinesOf("first\n" + longer + "\nnext\n"), ElementsAre("first", "next"));
  EXPECT_THAT(LinesOf(much_longer + "\nnext"), ElementsAre("next"));
  EXPECT_THAT(LinesOf("first\n" + much_longer), ElementsAre("first"));
}

TEST(LineReader, ReadsNoMoreThanItMay) {
  EXPECT_THAT(LinesOf("one\ntwo\nthree\n", 6), ElementsAre("one", "tw"));
}

}  // namespace
}  // namespace obit
