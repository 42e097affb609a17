#include "render/source_lines.h"

#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "base/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

class SourceLinesTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;

  [[nodiscard]] std::string Write(std::string_view text) const {
    const std::string path = folder_ / "cache.cc";
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }
};

TEST_F(SourceLinesTest, GivesLinesAroundTheOne) {
  const std::string path = Write("one\ntwo\nthree\nfour\nfive\nsix\nseven\n");
  const auto middle = ReadSourceLines(path, 4, INT64_MAX);
  ASSERT_THAT(middle, Succeeds());
  EXPECT_EQ(middle->first, 1u);
  EXPECT_THAT(middle->lines, ElementsAre("one", "two", "three", "four", "five", "six"));
  EXPECT_FALSE(middle->newer);
  EXPECT_THAT(ReadSourceLines(path, 1, INT64_MAX)->lines, ElementsAre("one", "two", "three"));
  const auto last = ReadSourceLines(path, 7, INT64_MAX);
  EXPECT_EQ(last->first, 4u);
  EXPECT_THAT(last->lines, ElementsAre("four", "five", "six", "seven"));
}

TEST_F(SourceLinesTest, SaysIfTheFileIsNewerThanTheCrash) {
  EXPECT_TRUE(ReadSourceLines(Write("one\n"), 1, 1'000'000'000)->newer);
}

TEST_F(SourceLinesTest, ALineThatIsNotThereIsENOENT) {
  const std::string path = Write("one\ntwo\n");
  for (const std::uint32_t line : {3u, 4u, 1000u, UINT32_MAX})
    EXPECT_THAT(ReadSourceLines(path, line, 0), FailsWith(ENOENT)) << line;
  EXPECT_THAT(ReadSourceLines(folder_ / "absent", 1, 0), FailsWith(ENOENT));
}

TEST_F(SourceLinesTest, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  for (const std::string& path : {folder_ / "fifo", folder_.path(), std::string("/dev/zero"),
                                  std::string("/dev/tty"), std::string("/proc/self/environ")})
    EXPECT_THAT(ReadSourceLines(path, 1, 0), FailsWith(EINVAL)) << path;
  EXPECT_THAT(ReadSourceLines("cache.cc", 1, 0), FailsWith(EINVAL));
}

TEST_F(SourceLinesTest, RootIsShownOnlyWhatEverybodyMayRead) {
  const std::string path = Write("secret\n");
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  if (::geteuid() == 0) EXPECT_THAT(ReadSourceLines(path, 1, 0), FailsWith(EACCES));
  if (::geteuid() != 0) EXPECT_THAT(ReadSourceLines(path, 1, 0), Succeeds());
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_THAT(ReadSourceLines(path, 1, 0), Succeeds());
}

TEST_F(SourceLinesTest, OnlyTheBeginningOfAHugeFileIsRead) {
  const std::string path = Write(std::string(1000, '\n'));
  std::filesystem::resize_file(path, 1ULL << 40);
  EXPECT_THAT(ReadSourceLines(path, 1000, 0), Succeeds());
  EXPECT_THAT(ReadSourceLines(path, 1010, 0), FailsWith(ENOENT));
}

TEST(RenderSourceLines, ShowsTheLineAsTheFileHasIt) {
  const SourceLines source{.first = 1, .marked = 1, .lines = {R"(printf("a\n\\\x1b");)", "\x1b[2J\\"}};
  EXPECT_EQ(RenderSourceLines(source, {}),
            "  >  1  printf(\"a\\n\\\\\\x1b\");\n"
            "     2  \\x1b[2J\\\n");
}

TEST(RenderSourceLines, MarksTheLineAndKeepsToTheWidth) {
  const SourceLines source{.first = 9, .marked = 10, .lines = {"\tif (x) {", "\t\treturn\x1b[2J;", ""}};
  EXPECT_EQ(RenderSourceLines(source, {}),
            "      9          if (x) {\n"
            "  >  10                  return\\x1b[2J;\n"
            "     11\n");
  EXPECT_EQ(RenderSourceLines(source, {.width = 24}),
            "      9          if (x)…\n"
            "  >  10                …\n"
            "     11\n");
}

}  // namespace
}  // namespace obit
