#include "policy/budgets.h"

#include <gtest/gtest.h>

namespace obit {
namespace {

using Room = Budgets::Room;

constexpr std::int64_t kSecond = 1'000'000'000;

class BudgetsTest : public ::testing::Test {
 protected:
  BudgetsTest() {
    config_.user_crashes = 10;
    config_.unit_crashes = 5;
    config_.user_bytes = 1000;
    config_.unit_bytes = 500;
    config_.budget_window = std::chrono::seconds(100);
  }
  /// As much of it as there is room for.
  Room Crash(std::optional<uid_t> user, const char* unit, std::uint64_t bytes = 0, std::int64_t at = 1) {
    return CrashOf({.share = user, .known = true, .unit = unit}, bytes, at);
  }
  Room CrashOf(const Budgets::Origin& origin, std::uint64_t bytes = 0, std::int64_t at = 1) {
    auto whose = budgets_.AccountsOf(origin);
    const Room room = budgets_.RoomFor(whose, at * kSecond, config_);
    if (room == Room::kCount) return room;
    const std::uint64_t promised = room == Room::kCore ? 7 : 0;
    budgets_.Take(whose, promised);
    budgets_.Ended(whose, promised, room == Room::kCore ? bytes : 0);
    return room;
  }

  Budgets budgets_{{1, 2}};
  Config config_;
};

TEST_F(BudgetsTest, BoundTheCrashesOfUsersAndUnits) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Crash(1, "a.service"), Room::kCore);
  EXPECT_EQ(Crash(1, "a.service"), Room::kCount);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Crash(1, ""), Room::kCore);
  EXPECT_EQ(Crash(1, ""), Room::kCount);
  EXPECT_EQ(Crash(1, "b.service"), Room::kCount);
  EXPECT_EQ(Crash(2, "b.service"), Room::kCore);
  EXPECT_EQ(Crash(std::nullopt, ""), Room::kCore) << "of nobody";
}

TEST_F(BudgetsTest, ANameThatAnotherUserChoseTakesNothing) {
  for (int i = 0; i < 6; ++i) (void)Crash(1, "nginx.service");
  EXPECT_EQ(Crash(0, "nginx.service"), Room::kCore);
}

TEST_F(BudgetsTest, TheSameUidInAContainerIsAnother) {
  for (int i = 0; i < 11; ++i) (void)CrashOf({.share = 0, .known = true, .container = 5});
  EXPECT_EQ(CrashOf({.share = 0, .known = true, .container = 5}), Room::kCount);
  EXPECT_EQ(CrashOf({.share = 0, .known = true, .container = 6}), Room::kCore);
  for (int i = 0; i < 11; ++i) (void)CrashOf({.share = 0});
  EXPECT_EQ(CrashOf({.share = 0}), Room::kCount) << "where these were is not known";
  EXPECT_EQ(Crash(0, ""), Room::kCore) << "the host";
}

TEST_F(BudgetsTest, AServiceOfTheSystemIsToldWhenItsUserHasHadHisCrashes) {
  for (int i = 0; i < 11; ++i) (void)Crash(0, "");
  const Budgets::Origin service{.share = 0, .known = true, .unit = "a.service", .unit_of_system = true};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(CrashOf(service), Room::kEvent);
  EXPECT_EQ(CrashOf(service), Room::kCount);
  EXPECT_EQ(Crash(0, "b.service"), Room::kCount) << "of his own, he may have any number";
}

TEST_F(BudgetsTest, WhatEndsInAnotherWindowIsNoPartOfIt) {
  auto whose = budgets_.AccountsOf({.share = 1});
  (void)budgets_.RoomFor(whose, kSecond, config_);
  budgets_.Take(whose, 900);
  EXPECT_EQ(CrashOf({.share = 1}, 1000, 101), Room::kCore);
  budgets_.Ended(whose, 900, 1);
  EXPECT_EQ(CrashOf({.share = 1}, 1, 102), Room::kEvent);
}

TEST_F(BudgetsTest, AUnitTakesNoPlaceOfItsUser) {
  for (uid_t user = 10; user < 10 + Budgets::kAccountsMax - 1; ++user) (void)Crash(user, "");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Crash(1, "a.service"), Room::kCore);
  EXPECT_EQ(Crash(1, "a.service"), Room::kCount);
  for (int i = 0; i < 5; ++i) (void)Crash(1, "");
  EXPECT_EQ(Crash(1, ""), Room::kCount);
}

TEST_F(BudgetsTest, BoundTheirBytes) {
  EXPECT_EQ(Crash(1, "a.service", 499), Room::kCore);
  EXPECT_EQ(Crash(1, "a.service", 400), Room::kCore) << "one may go beyond";
  EXPECT_EQ(Crash(1, "a.service", 1), Room::kEvent);
  EXPECT_EQ(Crash(1, "b.service", 200), Room::kCore);
  EXPECT_EQ(Crash(1, "c.service", 1), Room::kEvent);
  EXPECT_EQ(Crash(2, "c.service", 1), Room::kCore);
}

TEST_F(BudgetsTest, WhatIsUnderWayCountsAsPromised) {
  auto whose = budgets_.AccountsOf({.share = 1});
  EXPECT_EQ(budgets_.RoomFor(whose, kSecond, config_), Room::kCore);
  budgets_.Take(whose, 1000);
  EXPECT_EQ(budgets_.RoomFor(whose, kSecond, config_), Room::kEvent);
  budgets_.Ended(whose, 1000, 10);
  EXPECT_EQ(budgets_.RoomFor(whose, kSecond, config_), Room::kCore);
}

TEST_F(BudgetsTest, EachWindowBeginsAnew) {
  for (int i = 0; i < 10; ++i) (void)Crash(1, "");
  EXPECT_EQ(Crash(1, "", 0, 100), Room::kCount);
  EXPECT_EQ(Crash(1, "", 0, 101), Room::kCore);
}

TEST_F(BudgetsTest, ZeroIsNoBudget) {
  config_ = {};
  config_.user_crashes = config_.unit_crashes = 0;
  config_.user_bytes = config_.unit_bytes = 0;
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(Crash(1, "a", UINT64_MAX), Room::kCore);
}

TEST_F(BudgetsTest, WhoHasTakenLeastIsForgottenFirst) {
  for (int i = 0; i < 10; ++i) (void)Crash(1, "");
  for (uid_t user = 10; user < 10 + 3 * Budgets::kAccountsMax; ++user)
    EXPECT_EQ(Crash(user, ""), Room::kCore);
  EXPECT_EQ(Crash(1, ""), Room::kCount);
  EXPECT_EQ(Crash(1, "", 0, 101), Room::kCore);
}

}  // namespace
}  // namespace obit
