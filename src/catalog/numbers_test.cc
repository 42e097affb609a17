#include "catalog/numbers.h"

#include <sqlite3.h>

#include "catalog/index.h"
#include "catalog/list.h"
#include "store/test_numbers.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kOneDay;
using testing::kSomeTime;
using testing::SampleRecord;
using testing::Succeeds;

class NumbersTest : public testing::NumbersFixture {
 protected:
  [[nodiscard]] StoreNumbers Open() const { return OpenNumbers(store_, 16, true); }
  /// (number, commit number) of all crashes, by the index and by the folders.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> Numbers() const {
    const auto of = [](const CrashList& list) {
      std::vector<std::pair<std::uint64_t, std::uint64_t>> numbers;
      for (const CrashSummary& crash : list.crashes) numbers.emplace_back(crash.number, crash.commit_number);
      return numbers;
    };
    auto listed = of(*ListCrashes(store_));
    EXPECT_EQ(listed, of(*ListFolders(store_)));
    return listed;
  }
};

using Pair = std::pair<std::uint64_t, std::uint64_t>;

TEST_F(NumbersTest, TheLastToBeAcceptedIsTheNewestThoughTheClockJumpsBack) {
  StoreNumbers numbers = Open();
  const CrashLocation before = Add(numbers), after = Add(numbers, kSomeTime - kOneDay);
  const auto list = *ListCrashes(store_);
  ASSERT_EQ(list.crashes.size(), 2u);
  EXPECT_EQ(list.crashes[0].location, before);
  EXPECT_EQ(list.crashes[1].location, after);
  EXPECT_EQ(list.crashes[1].time, kSomeTime - kOneDay) << "it is shown as it was";
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 1}, Pair{2, 2}));
}

TEST_F(NumbersTest, CrashesWithoutNumbersAreBeforeAllOthersByTime) {
  for (const std::int64_t days : {2, 1})
    (void)testing::CommitCrash(store_, SampleRecord(kSomeTime + days * kOneDay));
  StoreNumbers numbers = Open();
  EXPECT_THAT(numbers.problems, IsEmpty());
  (void)Add(numbers);
  const auto list = *ListCrashes(store_);
  ASSERT_EQ(list.crashes.size(), 3u);
  EXPECT_EQ(list.crashes[0].time, kSomeTime + kOneDay);
  EXPECT_EQ(list.crashes[1].time, kSomeTime + 2 * kOneDay);
  EXPECT_EQ(list.crashes[2].number, 1u);
}

TEST_F(NumbersTest, CopiesOfANumberAreInTheOrderOfTheirTimes) {
  StoreNumbers numbers = Open();
  for (const std::int64_t days : {3, 1, 2}) {
    const CrashRecord record = Write(7, kSomeTime + days * kOneDay);
    ASSERT_THAT(CommitNumbered(store_, numbers.committed, record), Succeeds());
  }
  std::vector<std::int64_t> days;
  const auto list = *ListCrashes(store_);
  for (const CrashSummary& crash : list.crashes) days.push_back((crash.time - kSomeTime) / kOneDay);
  EXPECT_THAT(days, ElementsAre(1, 2, 3));
}

TEST_F(NumbersTest, LostFilesAreMadeFromTheStore) {
  {
    StoreNumbers numbers = Open();
    for (int i = 0; i < 3; ++i) (void)Add(numbers);
  }
  for (const char* name : {"accepted", "committed"})
    ASSERT_EQ(::truncate((store_.path() + "/numbers/" + name).c_str(), 1), 0);
  StoreNumbers numbers = Open();
  EXPECT_THAT(numbers.problems,
              ElementsAre(::testing::HasSubstr("they go on after those of the store, 3 and 3")));
  (void)Add(numbers);
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 1}, Pair{2, 2}, Pair{3, 3}, Pair{4, 4}));
}

TEST_F(NumbersTest, NumbersGoOnBehindThoseThatWereCopiedIntoTheStore) {
  StoreNumbers numbers = Open();
  (void)Add(numbers);
  const CrashRecord copied = Write(1000, kSomeTime - kOneDay);
  const CrashLocation crash = *store_.Commit(copied.id, copied.time);
  ASSERT_THAT(store_.WriteCommitNumber(crash, 2000), Succeeds());
  (void)Numbers();  // the index sees it
  StoreNumbers anew = Open();
  (void)Add(anew);
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 1}, Pair{1000, 2000}, Pair{1001, 2001}));
}

TEST_F(NumbersTest, HostileNumbersDoNotWedgeTheCount) {
  StoreNumbers numbers = Open();
  for (const std::uint64_t number : {UINT64_MAX, kNumberMax + 1, kNumberMax, kNumberMax / 2 + 1})
    ASSERT_THAT(CommitNumbered(store_, numbers.committed, Write(number, kSomeTime)), Succeeds());
  ::unlink((store_.path() + "/numbers/accepted").c_str());
  StoreNumbers anew = Open();
  EXPECT_EQ(anew.accepted.Take(), 1u);
  EXPECT_EQ(anew.committed.Take(), 17u) << "its file was not lost";
  EXPECT_THAT(Numbers(), ElementsAre(::testing::Key(0), ::testing::Key(0), ::testing::Key(kNumberMax / 2 + 1),
                                     ::testing::Key(kNumberMax)));
}

TEST_F(NumbersTest, WhatAFullDiskKeptOutOfFileAndIndexIsNotGivenAgain) {
  StoreNumbers numbers = Open();
  (void)Add(numbers);
  (void)Numbers();  // the last that the index sees
  ASSERT_THAT(CommitNumbered(store_, numbers.committed, Write(40, kSomeTime)), Succeeds());
  EXPECT_EQ(Open().accepted.Take(), 41u);
}

TEST_F(NumbersTest, AnOddNumberHidesNoOther) {
  StoreNumbers numbers = Open();
  (void)Add(numbers);
  ASSERT_THAT(Index::Open(store_)->Update(store_), Succeeds());
  for (const std::uint64_t number : {std::uint64_t{40}, kNumberMax})
    ASSERT_THAT(CommitNumbered(store_, numbers.committed, Write(number, kSomeTime)), Succeeds());
  StoreNumbers anew = Open();
  EXPECT_EQ(anew.accepted.Take(), 41u);
  EXPECT_THAT(anew.problems, ElementsAre(::testing::HasSubstr(std::to_string(kNumberMax))));
}

TEST_F(NumbersTest, AnIndexThatWasMadeAnewIsFilledLater) {
  StoreNumbers numbers = Open();
  for (int i = 0; i < 3; ++i) (void)Add(numbers);
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((store_.path() + "/index.db" + suffix).c_str());
  (void)Open();
  EXPECT_EQ(Index::Open(store_)->HighestNumbers()->accepted, 0u) << "nobody waited for that";
}

TEST_F(NumbersTest, WhereTheIndexCannotBeWrittenTheFoldersTell) {
  StoreNumbers numbers = Open();
  for (int i = 0; i < 3; ++i) (void)Add(numbers);
  ::unlink((store_.path() + "/numbers/accepted").c_str());
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((store_.path() + "/index.db" + suffix).c_str());
  ASSERT_TRUE(Index::Open(store_));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((store_.path() + "/index.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(Open().accepted.Take(), 4u);
  sqlite3_close(other);
}

TEST_F(NumbersTest, TheIndexTellsWhoHasNoneAndTheHighest) {
  StoreNumbers numbers = Open(), other = Open();
  const CrashRecord record = Write(1, kSomeTime);
  std::optional<Fd> lock = *other.committed.Lock();
  StoreNumbers server = OpenNumbers(store_, 16, false);
  const auto done = CommitNumbered(store_, server.committed, record);
  ASSERT_THAT(done, Succeeds());
  ASSERT_TRUE(done->unnumbered);
  const CrashLocation crash = done->location;
  auto index = *Index::Open(store_);
  ASSERT_THAT(index.List(store_), Succeeds());
  EXPECT_THAT(*index.Unnumbered(), ElementsAre(crash));
  lock.reset();
  ASSERT_THAT(NumberCommitted(store_, numbers.committed, crash), Succeeds());
  ASSERT_THAT(index.Add(store_, std::span(&crash, 1)), Succeeds());
  EXPECT_THAT(*index.Unnumbered(), IsEmpty());
  EXPECT_EQ(index.HighestNumbers()->committed, *store_.LoadCommitNumber(crash));
}

}  // namespace
}  // namespace obit
