#include "server/crash_shares.h"

#include "base/test_support.h"

namespace obit {
namespace {

constexpr uid_t kStorm = 1000, kOther = 1001;

constexpr std::size_t kOpen = 4096;  // in all

/// Until there is no more room for this user; returns how many he has.
std::size_t Fill(CrashShares& shares, uid_t user, bool settled = false) {
  std::size_t his = 0;
  for (; shares.HasRoomFor(user, kOpen); ++his) {
    shares.Add(user);
    if (settled) shares.Settle(user);
  }
  return his;
}

TEST(CrashShares, OneAloneHasHalfOpen) {
  CrashShares shares;
  EXPECT_EQ(Fill(shares, kStorm), kOpen / 2);
  EXPECT_TRUE(shares.HasRoomFor(kOther, kOpen));
  shares.Settle(kStorm);
  EXPECT_TRUE(shares.HasRoomFor(kStorm, kOpen));
}

TEST(CrashShares, HoweverManyTakeAllTheyCanThereIsRoomForOneMore) {
  CrashShares shares;
  for (uid_t user = 0; user < 5; ++user) Fill(shares, user);
  EXPECT_TRUE(shares.HasRoomFor(kOther, kOpen));
  CrashShares waiting;
  for (uid_t user = 0; user < 8; ++user) Fill(waiting, user, /*settled=*/true);
  EXPECT_TRUE(waiting.HasRoomFor(kOther, kOpen));
}

TEST(CrashShares, WhereThereIsLittleRoomItIsNotShared) {
  CrashShares shares;
  for (std::size_t i = 0; i < CrashShares::kOpenMin; ++i) {
    ASSERT_TRUE(shares.HasRoomFor(kStorm, 10));
    shares.Add(kStorm);
  }
  EXPECT_FALSE(shares.HasRoomFor(kStorm, 10));
}

TEST(CrashShares, WhoseCrashesWaitForTheDiskLosesHisOwn) {
  CrashShares shares;
  EXPECT_EQ(Fill(shares, kStorm, /*settled=*/true), CrashShares::kKnownMax / 2);
  EXPECT_TRUE(shares.HasRoomFor(kOther, kOpen));
  EXPECT_TRUE(shares.HasRoomFor(std::nullopt, kOpen));
  shares.Forget(kStorm);
  EXPECT_TRUE(shares.HasRoomFor(kStorm, kOpen));
}

TEST(CrashShares, AllTogetherAreBounded) {
  CrashShares shares;
  for (uid_t user = 0; shares.waiting() < CrashShares::kKnownMax; ++user) {
    ASSERT_TRUE(shares.HasRoomFor(user, kOpen));
    shares.Add(user);
    shares.Settle(user);
  }
  EXPECT_FALSE(shares.HasRoomFor(uid_t{100'000}, kOpen));
}

TEST(CrashShares, NobodyHasTheWholeLedger) {
  CrashShares shares;
  const auto fill = [&](uid_t user) {
    std::size_t his = 0;
    while (shares.TakeSlot(user)) ++his;
    return his;
  };
  EXPECT_EQ(fill(kStorm), Ledger::kSlots / 2);
  EXPECT_EQ(fill(kStorm + 10), Ledger::kSlots / 4);
  EXPECT_TRUE(shares.TakeSlot(kOther)) << "two who take what they can leave something";
  for (int i = 0; i < 1100; ++i) shares.GiveSlotBack(kStorm);
  EXPECT_TRUE(shares.TakeSlot(kStorm));
}

TEST(CrashShares, WhatADeadManagerLeftTakesNobodysShare) {
  CrashShares shares;
  shares.AddLeft();
  EXPECT_EQ(shares.waiting(), 1U);
  shares.ForgetLeft();
  EXPECT_EQ(shares.waiting(), 0U);
}

}  // namespace
}  // namespace obit
