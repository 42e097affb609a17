#include "store/commit.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <map>
#include <thread>

#include <sys/wait.h>

#include "base/test_failing_calls.h"
#include "crash/commit_mark.h"
#include "store/test_disk.h"
#include "store/test_numbers.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::kOneDay;
using testing::kSomeTime;
using testing::Succeeds;

class CommitTest : public testing::NumbersFixture {
 protected:
  [[nodiscard]] StoreNumbers Open() const { return ReadNumbers(store_, 16, true); }
  /// (number, commit number) of all crashes, in the order of the first.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> Numbers() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> numbers;
    for (const CrashLocation& crash : testing::CrashesOf(store_))
      numbers.emplace_back(store_.Load(crash)->number, store_.LoadCommitNumber(crash).value_or(0));
    std::ranges::sort(numbers);
    return numbers;
  }
};

using Pair = std::pair<std::uint64_t, std::uint64_t>;

TEST_F(CommitTest, ALateCommitHasTheHigherCommitNumber) {
  StoreNumbers numbers = Open();
  const CrashRecord slow = Write(*numbers.accepted.Take(), kSomeTime);
  (void)Add(numbers);
  ASSERT_THAT(CommitNumbered(store_, numbers.committed, slow), Succeeds());
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 2}, Pair{2, 1}));
}

TEST_F(CommitTest, WithoutANumberItIsCommittedAndGetsOneLater) {
  StoreNumbers server = ReadNumbers(store_, 16, false), import = Open();
  const CrashRecord record = Write(1, kSomeTime);
  // As a process left it that was killed between number and rename.
  ASSERT_THAT(
      WriteAll(*OpenAt(store_.root(), "incoming/" + record.id + "/commit.json", O_WRONLY | O_CREAT, 0600),
               CommitToJson({record.id, 1})),
      Succeeds());
  CrashLocation crash;
  {
    const Fd lock = *import.committed.Lock();
    const auto done = CommitNumbered(store_, server.committed, record);
    ASSERT_THAT(done, Succeeds());
    ASSERT_TRUE(done->unnumbered);
    EXPECT_EQ(done->unnumbered->code, EBUSY);
    crash = done->location;
    EXPECT_THAT(NumberCommitted(store_, server.committed, crash), FailsWith(EBUSY));
  }
  EXPECT_THAT(store_.LoadCommitNumber(crash), FailsWith(ENOENT));
  (void)Add(import);
  ASSERT_THAT(NumberCommitted(store_, server.committed, crash), Succeeds());
  EXPECT_GT(*store_.LoadCommitNumber(crash), 1u);
  EXPECT_THAT(NumberCommitted(store_, server.committed, crash), FailsWith(EEXIST));
}

TEST_F(CommitTest, WhoIsKilledBetweenNumberAndRenameIsNumberedAnew) {
  const CrashRecord record = Write(1, kSomeTime);
  const pid_t child = ::fork();
  if (child == 0) {
    StoreNumbers numbers = Open();
    const auto dir = OpenAt(store_.root(), "incoming/" + record.id, O_RDONLY | O_DIRECTORY);
    const Fd lock = *numbers.committed.Lock();
    (void)WriteAll(*OpenAt(*dir, "commit.json", O_WRONLY | O_CREAT, 0600),
                   CommitToJson({record.id, *numbers.committed.TakeLocked()}));
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  StoreNumbers numbers = Open();  // the lock of the dead is free
  (void)Add(numbers);
  const auto done = CommitNumbered(store_, numbers.committed, record);
  ASSERT_THAT(done, Succeeds());
  const std::uint64_t number = *store_.LoadCommitNumber(done->location);
  EXPECT_GT(number, 17u) << "17 was given to the other one";
}

TEST_F(CommitTest, AReaderThatLooksTwiceMissesNothingWhileOthersCommit) {
  constexpr int kWriters = 3, kEach = 40;
  std::atomic<int> running = kWriters;
  std::vector<std::jthread> writers;
  for (int i = 0; i < kWriters; ++i)
    writers.emplace_back([this, &running, i] {
      StoreNumbers numbers = ReadNumbers(store_, i == 0 ? 16 : 1, true);
      for (int n = 0; n < kEach; ++n) (void)Add(numbers, kSomeTime + n % 3 * kOneDay);
      --running;
    });
  std::map<std::uint64_t, CrashLocation> got;
  std::uint64_t after = 0;
  const auto read = [&] {
    std::uint64_t up_to = after;
    for (const auto& crash : testing::CrashesOf(store_))
      up_to = std::max(up_to, store_.LoadCommitNumber(crash).value_or(0));
    for (const auto& crash : testing::CrashesOf(store_)) {
      const std::uint64_t number = store_.LoadCommitNumber(crash).value_or(0);
      if (number <= after || number > up_to) continue;
      EXPECT_TRUE(got.emplace(number, crash).second) << "twice";
    }
    after = up_to;
  };
  while (running > 0) read();
  writers.clear();
  read();
  EXPECT_EQ(got.size(), static_cast<std::size_t>(kWriters) * kEach);
}

TEST_F(CommitTest, ANumberThatCannotBeReadIsNotOverwritten) {
  StoreNumbers numbers = Open();
  const CrashLocation crash = Add(numbers);
  {
    const testing::DiskFault fault({.unread = "commit.json"});
    EXPECT_THAT(NumberCommitted(store_, numbers.committed, crash), FailsWith(EIO));
  }
  EXPECT_THAT(NumberCommitted(store_, numbers.committed, crash), FailsWith(EEXIST));
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 1}));
}

TEST_F(CommitTest, WhatItsOwnerMountsOverANumberIsInTheWay) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  StoreNumbers numbers = Open();
  const CrashLocation crash = Add(numbers);
  const std::string folder = store_.PathOf(crash);
  const auto in_the_way = [&] {
    const Store store = Store::Open(store_.path()).value();
    const auto done = NumberCommitted(store, numbers.committed, crash);
    return !done && IsInTheWay(done.error());
  };
  EXPECT_TRUE(
      testing::WhereCallsFail([&] { return testing::MountOver(folder + "/commit.json"); }, in_the_way));
  EXPECT_THAT(NumberCommitted(store_, numbers.committed, crash), FailsWith(EEXIST));
}

TEST_F(CommitTest, NothingOfTheOwnersIsBelieved) {
  StoreNumbers numbers = Open();
  const CrashLocation crash = Add(numbers);
  const std::string file = store_.PathOf(crash) + "/commit.json";
  ASSERT_EQ(::unlink(file.c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", file.c_str()), 0);
  EXPECT_THAT(store_.LoadCommitNumber(crash), FailsWith(ELOOP));
  ASSERT_EQ(::unlink(file.c_str()), 0);
  ASSERT_THAT(WriteAll(*obit::Open(file, O_WRONLY | O_CREAT, 0600), CommitToJson({"00000000000000aa", 5})),
              Succeeds());
  EXPECT_THAT(store_.LoadCommitNumber(crash), FailsWith(EBADMSG)) << "it is of another crash";
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 0}));
}

}  // namespace
}  // namespace obit
