#include "policy/disk_room.h"

#include <gmock/gmock.h>

namespace obit {
namespace {

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

RetentionLimits Limits(std::uint64_t free) {
  return {.total_bytes = 10 * kGiB, .keep_free = 15 * kGiB, .disk_free = free, .floor_bytes = 2 * kGiB};
}

TEST(RoomOf, IsWhatTheLimitsLeaveHoweverMuchHasToGo) {
  const DiskRoom room = RoomOf(Limits(60 * kGiB), {.used = 9 * kGiB}, 100 * kGiB, 60 * kGiB);
  EXPECT_EQ(room.cores, 10 * kGiB);
  EXPECT_EQ(room.free, 60 * kGiB - 64 * kMiB) << "but for records";
  EXPECT_EQ(RoomOf(Limits(60 * kGiB), {.staying = 7 * kGiB}, 100 * kGiB, 60 * kGiB).cores, 3 * kGiB);
  EXPECT_EQ(RoomOf(Limits(60 * kGiB), {.staying = 70 * kGiB}, 100 * kGiB, 60 * kGiB).cores, 2 * kGiB)
      << "pins leave a floor";
}

TEST(RoomOf, LeavesWhatHasToStayFree) {
  EXPECT_EQ(RoomOf(Limits(16 * kGiB), {}, 100 * kGiB, 16 * kGiB).cores, kGiB);
  EXPECT_EQ(RoomOf(Limits(14 * kGiB), {}, 100 * kGiB, 14 * kGiB).cores, 0u);
  EXPECT_EQ(RoomOf(Limits(14 * kGiB), {.used = 3 * kGiB}, 100 * kGiB, 14 * kGiB).cores, 0u)
      << "1 GiB is above the floor, and 1 is missing";
  EXPECT_EQ(RoomOf(Limits(14 * kGiB), {.used = 4 * kGiB}, 100 * kGiB, 14 * kGiB).cores, kGiB);
  EXPECT_EQ(RoomOf(Limits(14 * kGiB), {.used = kGiB}, 100 * kGiB, 14 * kGiB).cores, 0u);
}

TEST(RoomOf, WhatCannotBeCompressedLeavesHalfOfWhatHasToStayFree) {
  const DiskRoom room = RoomOf(Limits(14 * kGiB), {.used = 9 * kGiB}, 100 * kGiB, 14 * kGiB);
  EXPECT_EQ(room.cores, (14 * kGiB - 15 * kGiB / 2) / 4);
  EXPECT_EQ(RoomOf(Limits(60 * kGiB), {}, 100 * kGiB, 7 * kGiB).cores, 0u) << "it is not free yet";
}

TEST(RoomOf, KeepsTheLastOfTheDiskForRecords) {
  EXPECT_EQ(RoomOf({}, {}, 512 * kMiB, 10 * kMiB).free, 8 * kMiB);
  EXPECT_EQ(RoomOf({}, {}, 512 * kMiB, kMiB).free, 0u);
}

TEST(FullCore, IsExpectedToBeCompressed) {
  EXPECT_EQ(FullCore(kGiB).expected, 256 * kMiB);
  EXPECT_EQ(FullCore(kGiB).most, kGiB);
  EXPECT_GT(FullCore(0).expected, 0u) << "where nothing is free, none fits";
}

TEST(MinimalCore, IsSmallAndHasWhatIsKeptFree) {
  EXPECT_EQ(MinimalCore(kGiB).most, 4 * kMiB);
  EXPECT_EQ(MinimalCore(0).most, 4 * kMiB) << "not known";
  EXPECT_EQ(MinimalCore(kMiB).most, kMiB);
  DiskBooks books;
  books.Told({.cores = 0, .free = 4 * kMiB});
  EXPECT_TRUE(books.Judge(FullCore(kMiB)));
  EXPECT_FALSE(books.Judge(MinimalCore(kGiB)));
}

TEST(DiskBooks, BeforeTheFirstWordThereIsRoom) {
  DiskBooks books;
  EXPECT_FALSE(books.Judge(FullCore(std::uint64_t{1} << 45)));
  EXPECT_TRUE(books.has_records());
}

TEST(DiskBooks, BothRoomsCount) {
  DiskBooks books;
  books.Told({.cores = 100, .free = 200});
  EXPECT_FALSE(books.Judge({100, 200}));
  EXPECT_EQ(books.Judge({101, 200}), (Lowered{Shortage::kDisk, 100, 101}));
  EXPECT_EQ(books.Judge({100, 201}), (Lowered{Shortage::kDisk, 200, 201}));
}

TEST(DiskBooks, EachCoreHasItsPartUntilTheClerkHasCountedIt) {
  DiskBooks books;
  books.Told({.cores = 100, .free = 100});
  books.Begin(1, {30, 60});
  EXPECT_FALSE(books.Judge({40, 40}));
  EXPECT_TRUE(books.Judge({40, 41}));
  books.Told({.cores = 100, .free = 100});
  EXPECT_TRUE(books.Judge({40, 41})) << "it is not over";
  books.Ended(1, 50);
  EXPECT_FALSE(books.Judge({50, 50}));
  EXPECT_TRUE(books.Judge({50, 51}));
  books.Told({.cores = 100, .free = 100});
  EXPECT_TRUE(books.Judge({50, 51})) << "the clerk may have said that before";
  books.Settled(1);
  EXPECT_TRUE(books.Judge({50, 51}));
  books.Told({.cores = 50, .free = 50});
  EXPECT_FALSE(books.Judge({50, 50}));
}

TEST(DiskBooks, ALargeCoreCostsNobodyAMinimalOne) {
  DiskBooks books;
  books.Told({.cores = 100, .free = 100});
  books.Begin(1, {30, 95});
  EXPECT_TRUE(books.Judge({30, 40}));
  EXPECT_FALSE(books.Judge({0, 40}));
  books.Begin(2, {0, 40});
  EXPECT_EQ(books.Judge({0, 61}), (Lowered{Shortage::kDisk, 60, 61}));
  books.Drop(2);
  EXPECT_FALSE(books.Judge({0, 61}));
}

TEST(DiskBooks, WhatDidNotBeginTakesNothing) {
  DiskBooks books;
  books.Told({.cores = 100, .free = 100});
  books.Begin(1, {100, 100});
  books.Drop(1);
  books.Drop(2);
  EXPECT_FALSE(books.Judge({100, 100}));
  books.Begin(1, {100, 100});
  books.Begin(1, {10, 10});
  EXPECT_FALSE(books.Judge({90, 90})) << "once";
}

TEST(DiskBooks, NoSizeIsTooLarge) {
  DiskBooks books;
  books.Told({.cores = 100, .free = 100});
  for (DiskBooks::Key crash = 1; crash <= 100; ++crash) books.Begin(crash, {UINT64_MAX, UINT64_MAX});
  EXPECT_TRUE(books.Judge({1, 1}));
  for (DiskBooks::Key crash = 1; crash <= 100; ++crash) books.Ended(crash, 0);
  EXPECT_FALSE(books.Judge({100, 100}));
  books.Ended(101, 5);
  books.Settled(101);
  EXPECT_FALSE(books.Judge({100, 100})) << "it is not known";
}

}  // namespace
}  // namespace obit
