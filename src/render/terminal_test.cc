#include "render/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace obit {
namespace {

TEST(DisplayWidth, CountsCells) {
  EXPECT_EQ(DisplayWidth(""), 0u);
  EXPECT_EQ(DisplayWidth("imgproxy"), 8u);
  EXPECT_EQ(DisplayWidth("größe"), 5u);
  EXPECT_EQ(DisplayWidth("日本"), 4u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);  // an accent of its own takes no cell
}

TEST(Shorten, KeepsWhatFits) {
  EXPECT_EQ(Shorten("imgproxy", 8), "imgproxy");
  EXPECT_EQ(Shorten("imgproxy", 0), "imgproxy");
}

TEST(Shorten, MarksWhatItCuts) {
  EXPECT_EQ(Shorten("imgproxy", 7), "imgpro…");
  EXPECT_EQ(Shorten("imgproxy", 1), "…");
}

TEST(Shorten, NeverCutsACharacterInTwo) {
  EXPECT_EQ(Shorten("größe", 4), "grö…");
  EXPECT_EQ(Shorten("日本語", 4), "日…");  // the second one would take cells 3 and 4
}

TEST(Paint, IsPlainWithoutColour) {
  EXPECT_EQ(Paint("x", Tone::kBad, false), "x");
  EXPECT_EQ(Paint("x", Tone::kPlain, true), "x");
  EXPECT_EQ(Paint("", Tone::kBad, true), "");
  EXPECT_EQ(Paint("x", Tone::kBad, true), "\x1b[31mx\x1b[0m");
}

TEST(TerminalOf, APipeHasNoWidthAndNoColour) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Terminal terminal = TerminalOf(ends[1]);
  EXPECT_FALSE(terminal.interactive);
  EXPECT_FALSE(terminal.colour);
  EXPECT_EQ(terminal.width, 0u);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(TerminalOf, NoColorIsHeeded) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  ::setenv("TERM", "xterm", 1);
  ::unsetenv("NO_COLOR");
  EXPECT_TRUE(TerminalOf(terminal).colour);
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(TerminalOf(terminal).colour);
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(TerminalOf(terminal).colour);
  EXPECT_TRUE(TerminalOf(terminal).interactive);
  ::close(terminal);
}

}  // namespace
}  // namespace obit
