#include "server/progress_board.h"

#include <csignal>

#include <sys/prctl.h>
#include <unistd.h>

#include "base/test_support.h"

namespace obit {
namespace {

class ProgressBoardTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kLast = ProgressBoard::kCounters - 1;
  /// The wait status of a child that counts there.
  [[nodiscard]] int Count(std::size_t number) const {
    testing::Child child(::fork());
    if (child.pid() == 0) {
      ::signal(SIGSEGV, SIG_DFL);
      ::prctl(PR_SET_DUMPABLE, 0);
      board_.counter(number) += 7;
      ::_exit(0);
    }
    return child.Wait();
  }
  const ProgressBoard board_ = *ProgressBoard::Create();
};

TEST_F(ProgressBoardTest, ShowsWhatAChildCounts) {
  ASSERT_THAT(board_.LetChildrenHaveIt(true), testing::Succeeds());
  EXPECT_EQ(Count(kLast), 0);
  EXPECT_EQ(board_.counter(kLast), 7U);
  EXPECT_EQ(board_.counter(kLast - 1), 0U);
}

TEST_F(ProgressBoardTest, AChildHasNoCounterButItsOwn) {
  ASSERT_THAT(board_.LetChildrenHave(3, true), testing::Succeeds());
  EXPECT_EQ(Count(3), 0);
  for (const std::size_t other : {std::size_t{0}, std::size_t{2}, std::size_t{4}, kLast}) {
    (void)Count(other);  // SIGSEGV, unless the child has mapped something else there
    EXPECT_EQ(board_.counter(other), 0U);
  }
  ASSERT_THAT(board_.LetChildrenHave(3, false), testing::Succeeds());
  (void)Count(3);
  EXPECT_EQ(board_.counter(3), 7U);
}

}  // namespace
}  // namespace obit
