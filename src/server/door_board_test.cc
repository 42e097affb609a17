#include "server/door_board.h"

#include <csignal>

#include <sys/prctl.h>
#include <unistd.h>

#include "base/test_support.h"

namespace obit {
namespace {

class DoorBoardTest : public ::testing::Test {
 protected:
  static CrashGlance Glance() {
    return {.uid = 1000,
            .signal = 11,
            .cgroup = 7,
            .code_bytes = 0x2000,
            .offset = 0x234,
            .comm = "ab",
            .program = "c"};
  }
  DoorBoardTest() { board_.SetKey({1, 2}); }
  DoorBoard board_ = *DoorBoard::Map(-1, 0);
};

TEST_F(DoorBoardTest, CrashesOfOtherLooksHaveOtherHashes) {
  std::vector<std::uint64_t> hashes{board_.HashOf(Glance())};
  EXPECT_EQ(board_.HashOf(Glance()), hashes[0]);
  const auto add = [&](auto change) {
    CrashGlance glance = Glance();
    change(glance);
    hashes.push_back(board_.HashOf(glance));
  };
  add([](CrashGlance& glance) { glance.uid = 1001; });
  add([](CrashGlance& glance) { glance.signal = 8; });
  add([](CrashGlance& glance) { glance.cgroup = 8; });
  add([](CrashGlance& glance) { glance.code_bytes = 0x2001; });
  add([](CrashGlance& glance) { glance.offset = 0x235; });
  add([](CrashGlance& glance) { glance.root_only = true; });
  add([](CrashGlance& glance) { glance.comm = "a", glance.program = "bc"; });
  add([](CrashGlance& glance) { glance.program = "d"; });
  board_.SetKey({1, 3});
  hashes.push_back(board_.HashOf(Glance()));
  EXPECT_EQ(std::set(hashes.begin(), hashes.end()).size(), hashes.size());
}

TEST_F(DoorBoardTest, TurnsAwayUntilThen) {
  EXPECT_EQ(board_.PlaceOf(5, 0), std::nullopt);
  board_.TurnAway(3, 5, 100);
  board_.TurnAway(4, 6, 200);
  EXPECT_EQ(board_.PlaceOf(5, 99), 3U);
  EXPECT_EQ(board_.PlaceOf(5, 100), std::nullopt);
  EXPECT_EQ(board_.PlaceOf(6, 199), 4U);
  EXPECT_EQ(board_.PlaceOf(7, 50), std::nullopt);
  EXPECT_EQ(board_.Until(), 200);
}

TEST_F(DoorBoardTest, CountsOnWhoeverHasThePlace) {
  board_.TurnAway(3, 5, 100);
  board_.Count(3, 1000);
  board_.TurnAway(3, 6, 200);
  board_.Count(3, 1001);
  EXPECT_EQ(board_.counted(3).crashes, 2U);
  EXPECT_EQ(board_.counted(3).last, 1001);
  EXPECT_EQ(board_.counted(2).crashes, 0U);
}

TEST_F(DoorBoardTest, ShowsWhatAChildHasInItsHand) {
  testing::Child child(::fork());
  if (child.pid() == 0) {
    board_.Take({.pid = 12, .uid = 34, .time = 56});
    board_.Take({.pid = 13, .uid = 35, .time = 57});
    ::_exit(0);
  }
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(board_.hand().pid, 13);
  EXPECT_EQ(board_.hand().uid, 35U);
  EXPECT_EQ(board_.hand().time, 57);
  EXPECT_EQ(board_.taken(), 2U);
  board_.LetGo();
  EXPECT_EQ(board_.hand().pid, 0);
  EXPECT_EQ(board_.taken(), 2U);
}

TEST_F(DoorBoardTest, AChildThatIsNotLetHasNone) {
  ASSERT_THAT(board_.LetChildrenHaveIt(false), testing::Succeeds());
  testing::Child child(::fork());
  if (child.pid() == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    ::prctl(PR_SET_DUMPABLE, 0);
    board_.LetGo();
    ::_exit(0);
  }
  const int status = child.Wait();
  EXPECT_TRUE(WIFSIGNALED(status) || status != 0);  // a sanitizer's report, or the kernel's signal
}

}  // namespace
}  // namespace obit
