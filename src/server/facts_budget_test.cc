#include "server/facts_budget.h"

#include "base/test_support.h"

namespace obit {
namespace {

constexpr std::size_t kHalf = FactsBudget::kMax / 2;

TEST(FactsBudget, NobodyTakesMoreThanWhatIsLeftThen) {
  FactsBudget budget;
  FactsBudget::Room first(budget, 1000), second(budget, 1000), other(budget, 1001);
  EXPECT_TRUE(first.Resize(kHalf - 10));
  EXPECT_FALSE(second.Resize(11));
  EXPECT_TRUE(second.Resize(10));
  EXPECT_FALSE(other.Resize(kHalf / 2 + 1));
  EXPECT_TRUE(other.Resize(kHalf / 2)) << "it is another user's";
  FactsBudget::Room third(budget, std::nullopt);
  EXPECT_TRUE(third.Resize(kHalf / 4)) << "two who take what they can leave something";
  EXPECT_FALSE(third.Resize(FactsBudget::kMax)) << "nor does a sum of any size overflow";
}

TEST(FactsBudget, RoomIsGivenBack) {
  FactsBudget budget;
  FactsBudget::Room kept;
  EXPECT_FALSE(kept.Resize(1)) << "it is of no budget";
  {
    FactsBudget::Room room(budget, 1000);
    ASSERT_TRUE(room.Resize(kHalf));
    EXPECT_FALSE(room.Resize(kHalf + 1));
    ASSERT_TRUE(room.Resize(kHalf - 5));
    kept = std::move(room);
  }
  FactsBudget::Room other(budget, 1000);
  EXPECT_FALSE(other.Resize(6));
  EXPECT_TRUE(other.Resize(5));
  kept = {};
  EXPECT_TRUE(other.Resize(kHalf));
}

}  // namespace
}  // namespace obit
