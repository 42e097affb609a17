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
  board_.Take(0, {.pid = 12});
  board_.Count(0, 3, 1000);
  board_.TurnAway(3, 6, 200);
  board_.Take(0, {.pid = 13});
  board_.Count(0, 3, 1001);
  EXPECT_EQ(board_.counted(3).crashes, 2U);
  EXPECT_EQ(board_.counted(3).last, 1001);
  EXPECT_EQ(board_.counted(2).crashes, 0U);
  EXPECT_EQ(board_.FreeHand(), 0U);
  EXPECT_FALSE(board_.held(0));
}

TEST_F(DoorBoardTest, ShowsWhatAChildHasInItsHands) {
  testing::Child child(::fork());
  if (child.pid() == 0) {
    board_.Take(0, {.time = 55});
    board_.Take(*board_.FreeHand(), {.pid = 13, .uid = 35, .time = 57});
    ::_exit(0);
  }
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(board_.held(0)->pid, DoorBoard::Held::kUnknown);
  EXPECT_EQ(board_.held(0)->uid, DoorBoard::Held::kUnknown);
  EXPECT_EQ(board_.held(1)->pid, 13);
  EXPECT_EQ(board_.held(1)->uid, 35);
  EXPECT_EQ(board_.held(1)->time, 57);
  EXPECT_EQ(board_.FreeHand(), 2U);
  EXPECT_EQ(board_.taken(), 2U);
  board_.LetGo(0);
  EXPECT_FALSE(board_.held(0));
  EXPECT_EQ(board_.FreeHand(), 0U);
}

TEST_F(DoorBoardTest, HasAnEnd) {
  for (std::size_t i = 0; i < DoorBoard::kHands; ++i) board_.Take(*board_.FreeHand(), {.pid = 12});
  EXPECT_EQ(board_.FreeHand(), std::nullopt);
}

TEST_F(DoorBoardTest, AChildThatIsNotLetHasNone) {
  ASSERT_THAT(board_.LetChildrenHaveIt(false), testing::Succeeds());
  testing::Child child(::fork());
  if (child.pid() == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    ::prctl(PR_SET_DUMPABLE, 0);
    board_.LetGo(0);
    ::_exit(0);
  }
  EXPECT_NE(child.Wait(), 0);  // the kernel's signal, or a sanitizer's status
}

}  // namespace
}  // namespace obit
