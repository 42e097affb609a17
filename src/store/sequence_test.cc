#include "store/sequence.h"

#include <set>

#include <sys/stat.h>
#include <sys/wait.h>

#include "store/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

class SequenceTest : public ::testing::Test {
 protected:
  [[nodiscard]] Sequence Open(std::uint64_t range = 10, bool waits = true) const {
    return Sequence(store_, {.name = "accepted", .range = range, .waits = waits});
  }
  static std::vector<std::uint64_t> Take(Sequence& sequence, int count) {
    std::vector<std::uint64_t> numbers;
    while (count-- > 0) {
      const auto number = sequence.Take();
      EXPECT_THAT(number, Succeeds());
      numbers.push_back(number.value_or(0));
    }
    return numbers;
  }
  [[nodiscard]] std::string File() const { return store_.path() + "/numbers/accepted"; }
  void Write(std::string_view text) const {
    ASSERT_THAT(WriteAll(*obit::Open(File(), O_WRONLY | O_CREAT | O_TRUNC, 0600), text), Succeeds());
  }

  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();
};

TEST_F(SequenceTest, GoesUpFromOne) {
  Sequence sequence = Open(3);
  EXPECT_EQ(sequence.last(), 0u);
  EXPECT_THAT(Take(sequence, 7), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(sequence.last(), 7u);
}

TEST_F(SequenceTest, RootGivesNothingAwayThatHasAnotherName) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: nothing can be given away";
  constexpr uid_t kOther = 65534;
  ASSERT_EQ(::chown(store_.path().c_str(), kOther, kOther), 0);
  Sequence sequence = Open();
  const std::string secret = folder_ / "secret", lock = File() + ".lock";
  ASSERT_THAT(obit::Open(secret, O_WRONLY | O_CREAT, 0600), Succeeds());
  ASSERT_EQ(::link(secret.c_str(), lock.c_str()), 0);
  EXPECT_THAT(sequence.Take(), FailsWith(EPERM));
  struct stat status{};
  ASSERT_EQ(::stat(secret.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0u);
  ASSERT_EQ(::unlink(lock.c_str()), 0);
  EXPECT_THAT(sequence.Take(), Succeeds());
  ASSERT_EQ(::stat(lock.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kOther);
}

TEST_F(SequenceTest, AProcessThatWasKilledLeavesAGapAndNoNumberTwice) {
  {
    Sequence sequence = Open();
    EXPECT_THAT(Take(sequence, 2), ElementsAre(1, 2));
  }
  Sequence sequence = Open();
  EXPECT_THAT(Take(sequence, 2), ElementsAre(11, 12));
}

TEST_F(SequenceTest, AnotherNameOfTheFileHidesNothing) {
  Sequence server = Open();
  EXPECT_THAT(Take(server, 2), ElementsAre(1, 2));
  ASSERT_EQ(::link(File().c_str(), (folder_ / "backup").c_str()), 0);
  Sequence import = Open(1);
  EXPECT_THAT(Take(import, 1), ElementsAre(11));
  EXPECT_THAT(Take(server, 1), ElementsAre(12));
}

TEST_F(SequenceTest, WhatCannotBeWrittenGoesOnBehindTheOthers) {
  Sequence server = Open(10, false);
  EXPECT_THAT(Take(server, 2), ElementsAre(1, 2));
  Sequence import = Open(1);
  EXPECT_THAT(Take(import, 1), ElementsAre(11));
  const auto lock = import.Lock();
  ASSERT_THAT(lock, Succeeds());
  EXPECT_THAT(server.Take(), FailsWith(EBUSY));
  EXPECT_EQ(server.TakeUnwritten(), 12u);
}

TEST_F(SequenceTest, AnotherProcessEndsTheRange) {
  Sequence server = Open();
  EXPECT_THAT(Take(server, 2), ElementsAre(1, 2));
  Sequence import = Open(1);
  EXPECT_THAT(Take(import, 2), ElementsAre(11, 12));
  EXPECT_THAT(Take(server, 2), ElementsAre(13, 14)) << "3 would be lower than what was given before it";
  EXPECT_THAT(Take(import, 1), ElementsAre(23));
}

TEST_F(SequenceTest, ManyProcessesTakeNoNumberTwice) {
  constexpr int kProcesses = 4, kEach = 200;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  {
    const Fd writer(ends[1]);
    for (int i = 0; i < kProcesses; ++i)
      if (::fork() == 0) {
        Sequence sequence = Open(7);
        std::uint64_t before = 0;
        for (int n = 0; n < kEach; ++n) {
          const std::uint64_t number = sequence.Take().value_or(0);
          if (number <= before || ::write(ends[1], &number, sizeof number) != sizeof number) ::_exit(1);
          before = number;
        }
        ::_exit(0);
      }
  }
  std::set<std::uint64_t> numbers;
  std::uint64_t number = 0;
  while (::read(ends[0], &number, sizeof number) == sizeof number) numbers.insert(number);
  for (int i = 0; i < kProcesses; ++i) {
    int status = 0;
    EXPECT_GT(::wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(numbers.size(), static_cast<std::size_t>(kProcesses) * kEach);
}

TEST_F(SequenceTest, AFileThatIsLostOrDamagedIsToldAndMadeAnew) {
  for (const char* text : {"", "4711", "many\n", "-1\n", "18446744073709551615\n", "4503599627370496\n",
                           "99999999999999999999999999999999999\n"}) {
    Sequence before = Open();
    (void)Take(before, 1);
    Write(text);
    Sequence sequence(store_, {.name = "accepted", .range = 10});
    ASSERT_TRUE(sequence.lost()) << text;
    EXPECT_EQ(sequence.lost()->code, EBADMSG) << text;
    EXPECT_TRUE(sequence.NotBelow(50));
    EXPECT_THAT(Take(sequence, 2), ElementsAre(51, 52)) << text;
    ::unlink(File().c_str());
  }
  const Sequence sequence(store_, {.name = "accepted"});
  ASSERT_TRUE(sequence.lost());
  EXPECT_EQ(sequence.lost()->code, ENOENT);
}

TEST_F(SequenceTest, ALostFileDoesNotSendItBack) {
  Sequence sequence = Open();
  EXPECT_THAT(Take(sequence, 2), ElementsAre(1, 2));
  ::unlink(File().c_str());
  EXPECT_THAT(Take(sequence, 1), ElementsAre(3));
  EXPECT_EQ(::rename((store_.path() + "/numbers").c_str(), (store_.path() + "/gone").c_str()), 0);
  EXPECT_EQ(::unlink((store_.path() + "/gone/accepted").c_str()), 0);
  EXPECT_THAT(Take(sequence, 1), ElementsAre(4)) << "the folder is made anew";
}

TEST_F(SequenceTest, NumbersOutOfAllBoundsDoNotCount) {
  Sequence sequence = Open();
  EXPECT_FALSE(sequence.NotBelow(UINT64_MAX));
  EXPECT_FALSE(sequence.NotBelow(kNumberMax));
  EXPECT_FALSE(sequence.NotBelow(Sequence::kLeapMax + 1));
  EXPECT_TRUE(sequence.NotBelow(0));
  EXPECT_THAT(Take(sequence, 1), ElementsAre(1));
  EXPECT_TRUE(sequence.NotBelow(Sequence::kLeapMax));
  EXPECT_THAT(Take(sequence, 1), ElementsAre(Sequence::kLeapMax + 1));
}

TEST_F(SequenceTest, WhoDoesNotWaitGoesOnWithItsRange) {
  Sequence server = Open(2, false), import = Open(1);
  EXPECT_THAT(Take(server, 1), ElementsAre(1));
  const Fd lock = *import.Lock();
  EXPECT_THAT(Take(server, 1), ElementsAre(2));
  EXPECT_THAT(server.Take(), FailsWith(EBUSY));
  EXPECT_THAT(server.Refill(), FailsWith(EBUSY));
  EXPECT_EQ(server.TakeUnwritten(), 3u);
}

TEST_F(SequenceTest, ARefilledRangeNeedsNoFile) {
  Sequence sequence = Open(4);
  ASSERT_THAT(sequence.Refill(), Succeeds());
  EXPECT_THAT(Take(sequence, 2), ElementsAre(1, 2));
  ASSERT_THAT(sequence.Refill(), Succeeds());
  const Fd lock = *Open().Lock();  // nobody can write it now
  Sequence busy = Open(4, false);
  EXPECT_THAT(busy.Take(), FailsWith(EBUSY));
  EXPECT_THAT(Take(sequence, 6), ElementsAre(3, 4, 5, 6, 7, 8));
}

TEST_F(SequenceTest, IsForNobodyElse) {
  Sequence sequence = Open();
  (void)Take(sequence, 1);
  struct stat status{};
  ASSERT_EQ(::stat((store_.path() + "/numbers").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

}  // namespace
}  // namespace obit
