#include "store/core_frames.h"

#include <gtest/gtest.h>

#include "store/hole_marks.h"

namespace obit {
namespace {

CoreFrames Sample() {
  CoreFrames frames;
  frames.Add({1000, kFrameBytes});
  frames.AddMark(5'000'000);
  frames.Add({200, kFrameBytes});
  frames.AddMark(7'000'000);
  return frames;
}

TEST(CoreFrames, CountWhatTheyAreOf) {
  const CoreFrames frames = Sample();
  EXPECT_EQ(frames.core.stored, 1000 + 200 + 2 * kHoleMarkBytes);
  EXPECT_EQ(frames.core.plain, 2 * kFrameBytes + 12'000'000);
  EXPECT_EQ(frames.core.omitted, 12'000'000u);
}

TEST(CoreFrames, CutBackGivesUpAsMuchAsTheEndAndTheRestNeed) {
  CoreFrames frames = Sample();
  frames.CutBack(0);  // two marks, of 24 bytes each, and a frame of 200
  EXPECT_EQ(frames.frames.size(), 2u);
  EXPECT_EQ(frames.holes.size(), 1u);
  EXPECT_EQ(frames.core.stored, 1000 + kHoleMarkBytes);
  EXPECT_EQ(frames.core.plain, kFrameBytes + 5'000'000);
  EXPECT_EQ(frames.core.omitted, 5'000'000u);
  EXPECT_LE(EndBytesMax(2, 1), 200 + kHoleMarkBytes);

  frames.CutBack(kSpareBytes);
  EXPECT_TRUE(frames.frames.empty());
  EXPECT_TRUE(frames.holes.empty());
  EXPECT_EQ(frames.core.stored, 0u);
  EXPECT_EQ(frames.core.plain, 0u);
  EXPECT_EQ(frames.core.omitted, 0u);
}

}  // namespace
}  // namespace obit
