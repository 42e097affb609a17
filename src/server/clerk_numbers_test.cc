#include "server/clerk_numbers.h"

#include "catalog/numbers.h"
#include "server/test_clerk.h"

namespace obit {
namespace {

class ClerkNumbersTest : public testing::ClerkStoreTest {
 protected:
  std::vector<Sequence::Range> given_;
  ClerkIndex index_{loop_, store_};
  ClerkNumbers numbers_{loop_, store_, index_,
                        [this](const Sequence::Range& range) { given_.push_back(range); }};
};

TEST_F(ClerkNumbersTest, AreGivenAheadOfTheirUse) {
  numbers_.Start();
  ASSERT_EQ(given_.size(), 1u);
  const auto [first, count] = given_[0];
  EXPECT_EQ(first, 1u);
  numbers_.Note(first + count / 2 - 1);
  EXPECT_EQ(given_.size(), 1u);
  numbers_.Note(first + count / 2);
  ASSERT_EQ(given_.size(), 2u);
  EXPECT_EQ(given_[1].first, first + count);
  EXPECT_TRUE(numbers_.WasGiven(given_[1].first + given_[1].count - 1));
  EXPECT_FALSE(numbers_.WasGiven(given_[1].first + given_[1].count));
}

TEST_F(ClerkNumbersTest, OfTheClerkBeforeWereGiven) {
  numbers_.Start();
  std::vector<Sequence::Range> given;
  ClerkNumbers next(loop_, store_, index_, [&](const Sequence::Range& range) { given.push_back(range); });
  EXPECT_TRUE(next.WasGiven(given_[0].first + given_[0].count - 1));
  next.Start();
  EXPECT_EQ(given.at(0).first, given_[0].first + given_[0].count);
}

TEST_F(ClerkNumbersTest, AreBehindThoseOfWhatWasLeft) {
  numbers_.NotBelow(10'000);
  numbers_.Start();
  EXPECT_GT(given_.at(0).first, 10'000u);
}

TEST_F(ClerkNumbersTest, AreBehindAnImport) {
  numbers_.Start();
  StoreNumbers import = OpenNumbers(store_, 1, true);
  const std::uint64_t imported = *import.accepted.Take();
  RunThrough({{[this] { return given_.size() == 2; }}});
  EXPECT_GT(given_[1].first, imported);
}

TEST_F(ClerkNumbersTest, AreGivenOnceAnotherProcessHasTakenItsOwn) {
  StoreNumbers other = OpenNumbers(store_, 1, true);
  std::optional<Fd> lock = *other.accepted.Lock();
  numbers_.Start();
  EXPECT_TRUE(given_.empty());
  lock.reset();
  RunThrough({{[this] { return given_.size() == 1; }}});
}

TEST_F(ClerkNumbersTest, WhatIsInTheWayForEverIsNotTriedForEver) {
  numbers_.Start();
  const CrashLocation poisoned = testing::CommitCrash(store_, testing::SampleRecord());
  ASSERT_EQ(::mkdir((store_.PathOf(poisoned) + "/commit.json").c_str(), 0700), 0);
  ::testing::internal::CaptureStderr();
  numbers_.NumberLater(poisoned, Error{EBUSY, "another process has them"});
  numbers_.NumberTheRest();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, ::testing::HasSubstr("it gets none"));
  ::testing::internal::CaptureStderr();
  numbers_.NumberTheRest();
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(ClerkNumbersTest, TheIndexHearsOfANumberThatWasGivenBeforeAClerkWasKilled) {
  numbers_.Start();
  const CrashRecord record = testing::SampleRecord();
  const CrashLocation crash = testing::CommitCrash(store_, record);
  index_.AddCommitted(std::vector{Summarize(crash, record)});
  ASSERT_TRUE(store_.WriteCommitNumber(crash, 7));
  numbers_.NumberLater(crash, Error{EBUSY, "another process has them"});
  numbers_.NumberTheRest();
  EXPECT_EQ(Index::Open(store_)->HighestNumbers()->committed, 7u);
}

TEST_F(ClerkNumbersTest, AreGivenThoughTheyCannotBeWritten) {
  std::filesystem::remove_all(folder_ / "store/numbers");
  ASSERT_TRUE(WriteFileAtomically(store_.root(), "numbers", "", 0600));
  numbers_.Start();
  ASSERT_EQ(given_.size(), 1u);
  EXPECT_EQ(given_[0].count, ClerkNumbers::kAtOnce);
}

}  // namespace
}  // namespace obit
