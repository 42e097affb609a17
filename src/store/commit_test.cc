#include "store/commit.h"

#include <atomic>
#include <csignal>
#include <map>
#include <thread>

#include <sys/wait.h>

#include "crash/commit_mark.h"
#include "store/index.h"
#include "store/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::IsEmpty;
using testing::kOneDay;
using testing::kSomeTime;
using testing::SampleRecord;
using testing::Succeeds;
using testing::TemporaryFolder;

class CommitTest : public ::testing::Test {
 protected:
  /// Makes incoming/ID with a record, as a worker does.
  CrashRecord Write(std::uint64_t number, std::int64_t time) const {
    CrashRecord record = SampleRecord(time);
    record.number = number;
    const auto incoming = store_.Begin(record.id);
    EXPECT_THAT(incoming, Succeeds());
    EXPECT_THAT(WriteFileAtomically(incoming->dir, kRecordFile, RecordToJson(record), 0600), Succeeds());
    return record;
  }
  CrashLocation Add(StoreNumbers& numbers, std::int64_t time = kSomeTime) const {
    const CrashRecord record = Write(*numbers.accepted.Take(), time);
    const auto done = CommitNumbered(store_, numbers.committed, record);
    EXPECT_THAT(done, Succeeds());
    EXPECT_FALSE(done->unnumbered);
    return done->location;
  }
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

  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();
};

using Pair = std::pair<std::uint64_t, std::uint64_t>;

TEST_F(CommitTest, TheLastToBeAcceptedIsTheNewestThoughTheClockJumpsBack) {
  StoreNumbers numbers = Open();
  const CrashLocation before = Add(numbers), after = Add(numbers, kSomeTime - kOneDay);
  const auto list = *ListCrashes(store_);
  ASSERT_EQ(list.crashes.size(), 2u);
  EXPECT_EQ(list.crashes[0].location, before);
  EXPECT_EQ(list.crashes[1].location, after);
  EXPECT_EQ(list.crashes[1].time, kSomeTime - kOneDay) << "it is shown as it was";
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 1}, Pair{2, 2}));
}

TEST_F(CommitTest, ALateCommitHasTheHigherCommitNumber) {
  StoreNumbers numbers = Open();
  const CrashRecord slow = Write(*numbers.accepted.Take(), kSomeTime);
  (void)Add(numbers);
  ASSERT_THAT(CommitNumbered(store_, numbers.committed, slow), Succeeds());
  EXPECT_THAT(Numbers(), ElementsAre(Pair{1, 2}, Pair{2, 1}));
}

TEST_F(CommitTest, CrashesWithoutNumbersAreBeforeAllOthersByTime) {
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

TEST_F(CommitTest, CopiesOfANumberAreInTheOrderOfTheirTimes) {
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

TEST_F(CommitTest, LostFilesAreMadeFromTheStore) {
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

TEST_F(CommitTest, NumbersGoOnBehindThoseThatWereCopiedIntoTheStore) {
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

TEST_F(CommitTest, HostileNumbersDoNotWedgeTheCount) {
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

TEST_F(CommitTest, WithoutANumberItIsCommittedAndGetsOneLater) {
  StoreNumbers server = OpenNumbers(store_, 16, false), import = Open();
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
  auto index = *Index::Open(store_);
  ASSERT_THAT(index.List(store_), Succeeds());
  EXPECT_THAT(*index.Unnumbered(), ElementsAre(crash));
  (void)Add(import);
  ASSERT_THAT(NumberCommitted(store_, server.committed, crash), Succeeds());
  EXPECT_GT(*store_.LoadCommitNumber(crash), 1u);
  EXPECT_THAT(NumberCommitted(store_, server.committed, crash), FailsWith(EEXIST));
  ASSERT_THAT(index.Add(store_, std::span(&crash, 1)), Succeeds());
  EXPECT_THAT(*index.Unnumbered(), IsEmpty());
  EXPECT_EQ(index.HighestNumbers()->committed, *store_.LoadCommitNumber(crash));
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
      StoreNumbers numbers = OpenNumbers(store_, i == 0 ? 16 : 1, true);
      for (int n = 0; n < kEach; ++n) (void)Add(numbers, kSomeTime + n % 3 * kOneDay);
      --running;
    });
  std::map<std::uint64_t, CrashLocation> got;
  std::uint64_t after = 0;
  const auto read = [&] {
    std::uint64_t up_to = after;
    const auto first = *ListFolders(store_);
    for (const CrashSummary& crash : first.crashes) up_to = std::max(up_to, crash.commit_number);
    const auto second = *ListFolders(store_);
    for (const CrashSummary& crash : second.crashes) {
      if (crash.commit_number <= after || crash.commit_number > up_to) continue;
      EXPECT_TRUE(got.emplace(crash.commit_number, crash.location).second) << "twice";
    }
    after = up_to;
  };
  while (running > 0) read();
  writers.clear();
  read();
  EXPECT_EQ(got.size(), static_cast<std::size_t>(kWriters) * kEach);
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
