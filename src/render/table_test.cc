#include "render/table.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace obit {
namespace {

using enum Table::Align;

Table Sample() {
  Table table({{"ID"},
               {.title = "PROGRAM", .shrinks_to = 5},
               {"SIZE", kRight},
               {.title = "NOTE", .shrinks_to = 6, .optional = true}});
  table.Add({{"3f9c"}, {"imgproxy-worker"}, {"1.0 GiB"}, {"the file ends early"}});
  table.Add({{"91e0"}, {"sh"}, {"-"}, {""}});
  return table;
}

Terminal Width(std::size_t width) { return {.interactive = true, .width = width}; }

TEST(Table, AlignsColumns) {
  EXPECT_EQ(Sample().Render(Width(0)),
            "ID    PROGRAM             SIZE  NOTE\n"
            "3f9c  imgproxy-worker  1.0 GiB  the file ends early\n"
            "91e0  sh                     -\n");
}

TEST(Table, CutsFromTheLastColumnOn) {
  EXPECT_EQ(Sample().Render(Width(40)),
            "ID    PROGRAM             SIZE  NOTE\n"
            "3f9c  imgproxy-worker  1.0 GiB  the fil…\n"
            "91e0  sh                     -\n");
  EXPECT_EQ(Sample().Render(Width(32)),
            "ID    PROGRAM       SIZE  NOTE\n"
            "3f9c  imgproxy…  1.0 GiB  the f…\n"
            "91e0  sh               -\n");
}

TEST(Table, LeavesAnOptionalColumnOutWhereThereIsNoRoom) {
  EXPECT_EQ(Sample().Render(Width(22)),
            "ID    PROGRAM     SIZE\n"
            "3f9c  imgpro…  1.0 GiB\n"
            "91e0  sh             -\n")
      << "and the others take its room";
}

TEST(Table, NoLineIsLongerThanTheTerminal) {
  for (std::size_t width = 20; width < 80; ++width) {
    const std::string text = Sample().Render(Width(width));
    for (const std::string_view line : Split(text, '\n')) EXPECT_LE(DisplayWidth(line), width) << line;
  }
}

TEST(Table, LeavesAnEmptyOptionalColumnOut) {
  Table table({{"ID"}, {.title = "NOTE", .optional = true}});
  table.Add({{"3f9c"}, {""}});
  EXPECT_EQ(table.Render(Width(0)), "ID\n3f9c\n");
}

TEST(Table, HasNoTitleLineWithoutTitles) {
  Table table({{""}, {""}});
  table.Add({{"store"}, {"3 crashes"}});
  EXPECT_EQ(table.Render(Width(0)), "store  3 crashes\n");
}

TEST(Table, ColoursDoNotCountAsWidth) {
  Table table({{"A"}, {"B"}});
  table.Add({{"x", Tone::kBad}, {"y"}});
  table.Add({{"long"}, {"z"}});
  EXPECT_EQ(table.Render({.interactive = true, .colour = true, .width = 40}),
            "\x1b[2mA\x1b[0m     \x1b[2mB\x1b[0m\n\x1b[31mx\x1b[0m     y\nlong  z\n");
}

}  // namespace
}  // namespace obit
