#include "base/result.h"

#include <cerrno>
#include <memory>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;

TEST(Fail, SaysWhatWasDoneAndWhy) {
  const Result<int> failed = Fail(ENOSPC, "write {} bytes", 7);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ENOSPC);
  EXPECT_EQ(failed.error().what, "write 7 bytes: No space left on device");
}

TEST(Refuse, SaysOnlyWhatItIsGiven) {
  const Result<int> refused = Refuse(EINVAL, "no {} here", "cake");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_EQ(refused.error().what, "no cake here");
}

TEST(Error, ReadsFromGoalToCause) {
  EXPECT_EQ((Error{ENOENT, "open a: gone"}).In("load b").In("list").what, "list: load b: open a: gone");
  EXPECT_EQ((Error{ENOENT, "x"}).In("y").code, ENOENT);
}

Result<int> Half(int number) {
  if (number % 2 != 0) return Refuse(EDOM, "{} is odd", number);
  return number / 2;
}
Result<void> CheckEven(int number) {
  OBIT_TRY(Half(number));
  return {};
}
Result<std::string> Quarter(int number) {
  const int half = OBIT_TRY(Half(number));
  return std::to_string(OBIT_TRY_IN(Half(half), "halve {}", half));
}

TEST(ObitTry, GivesTheValue) { EXPECT_EQ(Quarter(12).value(), "3"); }

TEST(ObitTry, ReturnsTheErrorUnchangedThroughAnotherType) {
  const auto failed = Quarter(3);
  EXPECT_THAT(failed, FailsWith(EDOM));
  EXPECT_EQ(failed.error().what, "3 is odd");
  EXPECT_THAT(CheckEven(3), FailsWith(EDOM));
}

TEST(ObitTryIn, PutsTheGoalBeforeTheCause) {
  const auto failed = Quarter(6);
  EXPECT_THAT(failed, FailsWith(EDOM));
  EXPECT_EQ(failed.error().what, "halve 3: 3 is odd");
}

TEST(ObitTry, MovesWhatCannotBeCopied) {
  const auto made = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); };
  const auto passed = [&]() -> Result<std::unique_ptr<int>> { return OBIT_TRY(made()); };
  EXPECT_EQ(**passed(), 5);
}

}  // namespace
}  // namespace obit
