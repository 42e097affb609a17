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

}  // namespace
}  // namespace obit
