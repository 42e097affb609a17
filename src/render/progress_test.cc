#include "render/progress.h"

#include <gtest/gtest.h>

#include "render/terminal.h"

namespace obit {
namespace {

TEST(ProgressLine, SaysHowFarItIs) {
  EXPECT_EQ(ProgressLine("unpacking", 256 << 20, 1 << 30, 2, 200),
            "unpacking  [#####               ]  25 %  256 MiB of 1.0 GiB, 6.00 s left");
}

TEST(ProgressLine, PromisesNothingAtTheBeginning) {
  EXPECT_EQ(ProgressLine("unpacking", 0, 1 << 30, 2, 200),
            "unpacking  [                    ]  0 %  0 B of 1.0 GiB");
}

TEST(ProgressLine, HoldsOddNumbers) {
  EXPECT_NE(ProgressLine("x", 20, 10, 1, 200).find("100 %"), std::string::npos);  // the file grew
  EXPECT_NE(ProgressLine("x", 20, 0, 1, 200).find("0 %"), std::string::npos);     // a pipe has no size
}

TEST(ProgressLine, FitsTheTerminal) {
  for (std::size_t width = 2; width < 100; ++width)
    EXPECT_LT(DisplayWidth(ProgressLine("unpacking core.zst", 1, 3, 2, width)), width);
}

}  // namespace
}  // namespace obit
