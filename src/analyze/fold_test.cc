#include "analyze/fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace obit {

bool operator==(const StackPart& a, const StackPart& b) {
  return a.first == b.first && a.count == b.count && a.times == b.times;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Pcs = std::vector<std::uint64_t>;

TEST(FoldRecursion, LeavesAnOrdinaryStackWhole) {
  EXPECT_THAT(FoldRecursion(Pcs{1, 2, 3, 2, 1}), ElementsAre(StackPart{0, 5, 1}));
  EXPECT_THAT(FoldRecursion(Pcs{}), IsEmpty());
}

TEST(FoldRecursion, OneFunction) {
  Pcs pcs(1000, 7);
  pcs.insert(pcs.begin(), 1);
  pcs.push_back(9);
  EXPECT_THAT(FoldRecursion(pcs),
              ElementsAre(StackPart{0, 1, 1}, StackPart{1, 1, 1000}, StackPart{1001, 1, 1}));
}

TEST(FoldRecursion, ACycleAndWhatIsLeftOfItsLastRound) {
  Pcs pcs;
  for (int i = 0; i < 5; ++i) pcs.insert(pcs.end(), {4, 5, 6});
  pcs.push_back(4);
  EXPECT_THAT(FoldRecursion(pcs), ElementsAre(StackPart{0, 3, 5}, StackPart{15, 1, 1}));
}

TEST(FoldRecursion, ThreeRoundsAreNoRecursion) {
  EXPECT_THAT(FoldRecursion(Pcs{1, 2, 1, 2, 1, 2}), ElementsAre(StackPart{0, 6, 1}));
}

TEST(FoldRecursion, LongCycles) {
  for (const std::size_t length : {17, 20, 300, 512}) {
    Pcs pcs;
    for (std::size_t i = 0; i < length * 4 + 3; ++i) pcs.push_back(i % length);
    EXPECT_THAT(FoldRecursion(pcs), ElementsAre(StackPart{0, length, 4}, StackPart{length * 4, 3, 1}))
        << length;
  }
}

TEST(FoldRecursion, AFunctionMayBeInItsCycleTwice) {
  Pcs pcs;
  for (int i = 0; i < 9; ++i) pcs.insert(pcs.end(), {4, 5, 4, 6});
  EXPECT_THAT(FoldRecursion(pcs), ElementsAre(StackPart{0, 4, 9}));
}

TEST(FoldRecursion, CyclesThatBreakOffLateTakeNoForever) {
  Pcs pcs;
  for (std::size_t i = 0; i < (1 << 21); ++i) pcs.push_back(i % 1530 == 0 ? i : i % 2 == 0 ? 1 : i % 510);
  std::size_t frames = 0;
  for (const StackPart& part : FoldRecursion(pcs)) frames += part.count * part.times;
  EXPECT_EQ(frames, pcs.size());
}

TEST(FoldRecursion, EndsWhereThereAreFramesEnough) {
  std::vector<std::uint64_t> pcs{1, 2};
  for (int i = 0; i < 100; ++i) pcs.insert(pcs.end(), {3, 4});
  for (std::uint64_t pc = 10; pc < 1000; ++pc) pcs.push_back(pc);
  const auto parts = FoldRecursion(pcs, 6);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1].times, 100u);
  EXPECT_EQ(parts[0].count + parts[1].count + parts[2].count, 6u);
}

}  // namespace
}  // namespace obit
