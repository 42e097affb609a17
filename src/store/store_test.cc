#include "store/store.h"

#include <atomic>
#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "crash/report_json.h"
#include "store/removal.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::CommitCrash;
using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::IsEmpty;
using testing::kOneDay;
using testing::kSomeTime;
using testing::SampleRecord;
using testing::Succeeds;
using testing::TemporaryFolder;

constexpr const char* kSomeId = "3f9c2a71b04d6e58";

class StoreTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();

  [[nodiscard]] std::string Path(std::string_view name) const {
    return store_.path() + "/" + std::string(name);
  }
  [[nodiscard]] bool Exists(std::string_view name) const { return std::filesystem::exists(Path(name)); }

  /// Replaces the record of a crash by any text.
  void OverwriteRecord(const CrashLocation& crash, std::string_view text) const {
    const auto dir = Open(store_.PathOf(crash), O_RDONLY | O_DIRECTORY);
    ASSERT_THAT(dir, Succeeds());
    ASSERT_THAT(WriteFileAtomically(*dir, kRecordFile, text, 0600), Succeeds());
  }
  [[nodiscard]] std::vector<std::string> AbandonedIds() const {
    const auto abandoned = testing::TakeAbandoned(store_);
    EXPECT_THAT(abandoned, Succeeds());
    std::vector<std::string> ids;
    for (const IncomingCrash& crash : *abandoned) ids.push_back(crash.id);
    return ids;
  }
};

TEST_F(StoreTest, CreateLetsEverybodyLookUpCrashesButNotThoseThatAreWritten) {
  for (const auto& [name, mode] : {std::pair{"", 0755U}, {"crashes", 0755U}, {"incoming", 0700U}}) {
    struct stat status{};
    ASSERT_EQ(::stat(Path(name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 07777, mode) << name;
  }
}

TEST_F(StoreTest, CreateOfAnExistingOneKeepsItsCrashes) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const auto again = Store::Create(store_.path());
  ASSERT_THAT(again, Succeeds());
  EXPECT_THAT(again->Load(crash), Succeeds());
}

TEST_F(StoreTest, CreateKeepsTheRightsOfAFolderThatIsThere) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  const std::string closed = folder_ / "closed", path = closed + "/store";
  ASSERT_THAT(MakeDirectories(path, 0700), Succeeds());
  ASSERT_EQ(::chmod(closed.c_str(), 0700), 0);
  testing::Child child(::fork());
  if (child.pid() == 0) {
    if (::setresuid(61001, 0, 0) < 0) ::_exit(2);  // access(2) asks for the real one
    ::_exit(Store::Create(path) ? 0 : 1);
  }
  EXPECT_EQ(child.Wait(), 0);
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST_F(StoreTest, CreateMakesTheParentsWhateverTheUmask) {
  const mode_t mask = ::umask(077);
  EXPECT_THAT(Store::Create((folder_ / "a/b/store") + "/"), Succeeds());
  ::umask(mask);
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "a/b/store").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755u);
}

TEST_F(StoreTest, OpenOfNoStoreIsENOENT) {
  EXPECT_THAT(Store::Open(folder_ / "absent"), FailsWith(ENOENT));
  EXPECT_THAT(Store::Open(folder_.path()), FailsWith(ENOENT));  // a folder, but not of obit
}

TEST_F(StoreTest, AStoreIsNotOpenedInPart) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const Fd free = *Open("/dev/null", O_RDONLY);
  const auto lowest = static_cast<rlim_t>(free.get());
  for (rlim_t most = lowest + 1; most <= lowest + 3; ++most) {
    const rlimit few{most, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    EXPECT_THAT(Store::Open(store_.path()), FailsWith(EMFILE)) << most - lowest - 1 << " descriptors";
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(Store::Open(store_.path()), Succeeds());
}

TEST_F(StoreTest, ACopyWithoutIncomingCanBeRead) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  std::filesystem::remove_all(Path("incoming"));
  const auto copy = Store::Open(store_.path());
  ASSERT_THAT(copy, Succeeds());
  EXPECT_THAT(copy->Load(crash), Succeeds());
}

TEST_F(StoreTest, OnlyOneServerWrites) {
  auto lock = store_.LockForServer();
  ASSERT_THAT(lock, Succeeds());
  EXPECT_THAT(store_.LockForServer(), FailsWith(EBUSY));
  lock->Reset();
  EXPECT_THAT(store_.LockForServer(), Succeeds());
}

TEST_F(StoreTest, ACrashIsSeenOnceItIsCommitted) {
  const CrashRecord record = SampleRecord();
  const auto incoming = store_.Begin(record.id);
  ASSERT_THAT(incoming, Succeeds());
  ASSERT_THAT(WriteFileAtomically(incoming->dir, kRecordFile, RecordToJson(record), 0600), Succeeds());
  EXPECT_THAT(*store_.Days(), IsEmpty());
  const auto crash = store_.Commit(record.id, record.time);
  ASSERT_THAT(crash, Succeeds());
  EXPECT_EQ(*crash, (CrashLocation{"2026-11-23", record.id}));
  EXPECT_THAT(store_.SyncDay(crash->day), Succeeds());
  EXPECT_THAT(*store_.Days(), ElementsAre("2026-11-23"));
  EXPECT_THAT(*store_.CrashesOf(crash->day), ElementsAre(*crash));
  const auto loaded = store_.Load(*crash);
  ASSERT_THAT(loaded, Succeeds());
  EXPECT_EQ(RecordToJson(*loaded), RecordToJson(record));
  EXPECT_EQ(store_.PathOf(*crash), Path("crashes/2026-11-23/" + record.id));
}

TEST_F(StoreTest, BeginOfACrashThatIsBeingWrittenIsEBUSY) {
  const auto incoming = store_.Begin(kSomeId);
  ASSERT_THAT(incoming, Succeeds());
  EXPECT_THAT(store_.Begin(kSomeId), FailsWith(EBUSY));
}

TEST_F(StoreTest, CommitRefusesATimeWhoseDayIsNone) {
  ASSERT_THAT(store_.Begin("0000000000000001"), Succeeds());
  // The first day that 64 bits of ns reach is not whole.
  EXPECT_THAT(store_.Commit("0000000000000001", INT64_MIN), FailsWith(EINVAL));
  EXPECT_TRUE(std::filesystem::exists(Path("incoming/0000000000000001")));
  EXPECT_TRUE(std::filesystem::is_empty(Path("crashes")));
  const auto last = store_.Commit("0000000000000001", INT64_MAX);
  ASSERT_THAT(last, Succeeds());
  EXPECT_EQ(last->day, "2262-04-11");
}

TEST_F(StoreTest, TimesThatDoNotFitAreTheNextThatDo) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const std::string day = Path("crashes/" + crash.day);
  constexpr time_t kYear2400 = 13'569'465'600;
  const timespec later[2] = {{kYear2400, 0}, {kYear2400, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, day.c_str(), later, 0), 0);
  struct stat status{};
  ASSERT_EQ(::stat(day.c_str(), &status), 0);
  if (status.st_mtim.tv_sec != kYear2400) GTEST_SKIP() << "the file system has no such times";
  EXPECT_GT(store_.DayChanged(crash.day), INT64_MAX - 2'000'000'000);
}

TEST_F(StoreTest, CommitNeverReplacesACrash) {
  const CrashRecord record = SampleRecord();
  const CrashLocation crash = CommitCrash(store_, record);
  ASSERT_THAT(store_.Begin(record.id), Succeeds());
  EXPECT_THAT(store_.Commit(record.id, record.time), FailsWith(EEXIST));
  EXPECT_THAT(store_.Load(crash), Succeeds());
}

TEST_F(StoreTest, CommitOfNothingIsENOENT) {
  EXPECT_THAT(store_.Commit(kSomeId, kSomeTime), FailsWith(ENOENT));
}

TEST_F(StoreTest, DiscardRemovesAllThatWasWritten) {
  const auto incoming = store_.Begin(kSomeId);
  ASSERT_THAT(incoming, Succeeds());
  ASSERT_THAT(WriteFileAtomically(incoming->dir, kCoreFile, "core", 0600), Succeeds());
  ASSERT_THAT(store_.Discard(kSomeId), Succeeds());
  EXPECT_FALSE(Exists(std::string("incoming/") + kSomeId));
}

TEST_F(StoreTest, DaysAreSortedAndNothingElse) {
  const CrashLocation later = CommitCrash(store_, SampleRecord(kSomeTime + kOneDay));
  const CrashLocation earlier = CommitCrash(store_, SampleRecord(kSomeTime - 30 * kOneDay));
  for (const char* odd : {"lost+found", "2026-11-2", "2026-13-01", "2026-02-30", "x026-11-23", "2026-11-231"})
    std::filesystem::create_directory(Path(std::string("crashes/") + odd));
  EXPECT_THAT(*store_.Days(), ElementsAre(earlier.day, later.day));
}

TEST_F(StoreTest, WhatIsNoCrashIsNotListed) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  for (const char* odd : {"README", "3F9C2A71B04D6E58", "3f9c2a71b04d6e5", "3f9c2a71b04d6e58.removed"})
    std::filesystem::create_directory(Path("crashes/" + crash.day + "/" + odd));
  EXPECT_THAT(*store_.CrashesOf(crash.day), ElementsAre(crash));
}

TEST_F(StoreTest, ADayThatIsNoFolderHasNoCrashes) {
  ASSERT_THAT(WriteFileAtomically(store_.root(), "file", "", 0600), Succeeds());
  std::filesystem::rename(Path("file"), Path("crashes/2026-01-01"));
  std::filesystem::create_directory_symlink(folder_.path(), Path("crashes/2026-01-02"));
  for (const char* day : {"2026-01-01", "2026-01-02", "2026-01-03"})
    EXPECT_THAT(store_.CrashesOf(day), ::testing::Optional(IsEmpty())) << day;
}

TEST_F(StoreTest, ADayChangesWithEachCommitAndRemoval) {
  EXPECT_EQ(store_.DayChanged("2026-11-23"), 0);
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  CommitCrash(store_, SampleRecord());
  const auto set_back = [&] {
    const timespec times[] = {{1000, 0}, {1000, 5}};
    ASSERT_EQ(::utimensat(AT_FDCWD, Path("crashes/" + crash.day).c_str(), times, 0), 0);
    ASSERT_EQ(store_.DayChanged(crash.day), 1'000'000'000'005);
  };
  set_back();
  CommitCrash(store_, SampleRecord());
  EXPECT_NE(store_.DayChanged(crash.day), 1'000'000'000'005);
  set_back();
  ASSERT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_NE(store_.DayChanged(crash.day), 1'000'000'000'005);
}

TEST_F(StoreTest, LoadOfNoCrashIsENOENT) {
  EXPECT_THAT(store_.Load({"2026-11-23", kSomeId}), FailsWith(ENOENT));
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  EXPECT_THAT(store_.Load({crash.day, kSomeId}), FailsWith(ENOENT));
}

TEST_F(StoreTest, LoadRefusesTheRecordOfAnotherCrash) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  OverwriteRecord(crash, RecordToJson(SampleRecord()));
  EXPECT_THAT(store_.Load(crash), FailsWith(EBADMSG));
}

TEST_F(StoreTest, LoadRefusesAnUnknownSchema) {
  const CrashRecord record = SampleRecord();
  const CrashLocation crash = CommitCrash(store_, record);
  std::string text = RecordToJson(record);
  text.replace(text.find("\"schema\": 1"), 11, "\"schema\": 2");
  OverwriteRecord(crash, text);
  EXPECT_THAT(store_.Load(crash), FailsWith(EPROTONOSUPPORT));
}

TEST_F(StoreTest, LoadRefusesWhatIsNoRecord) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string(1000, '[')}) {
    OverwriteRecord(crash, text);
    EXPECT_THAT(store_.Load(crash), FailsWith(EBADMSG)) << text;
  }
}

TEST_F(StoreTest, LoadRefusesAHugeRecordWithoutReadingIt) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  ASSERT_EQ(::truncate((store_.PathOf(crash) + "/" + kRecordFile).c_str(), 1LL << 40), 0);
  EXPECT_THAT(store_.Load(crash), FailsWith(EBADMSG));
}

TEST_F(StoreTest, LoadFollowsNoSymlink) {
  const CrashRecord record = SampleRecord();
  const CrashLocation crash = CommitCrash(store_, record);
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "elsewhere", RecordToJson(record), 0600), Succeeds());
  std::filesystem::remove(store_.PathOf(crash) + "/" + kRecordFile);
  std::filesystem::create_symlink(folder_ / "elsewhere", store_.PathOf(crash) + "/" + kRecordFile);
  EXPECT_THAT(store_.Load(crash), FailsWith(ELOOP));
}

TEST_F(StoreTest, LoadDoesNotWaitForAFifo) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const std::string path = store_.PathOf(crash) + "/" + kRecordFile;
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(store_.Load(crash), FailsWith(EPERM));
}

TEST_F(StoreTest, OpenFileGivesTheFilesOfACrash) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  EXPECT_THAT(store_.OpenFile(crash, kRecordFile), Succeeds());
  EXPECT_THAT(store_.OpenFile(crash, kCoreFile), FailsWith(ENOENT));
}

TEST_F(StoreTest, RemoveTakesACrashAndItsEmptyDay) {
  const CrashLocation one = CommitCrash(store_, SampleRecord()), two = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(store_.Remove(one), Succeeds());
  EXPECT_THAT(*store_.CrashesOf(one.day), ElementsAre(two));
  ASSERT_THAT(store_.Remove(two), Succeeds());
  EXPECT_THAT(*store_.Days(), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(Path("incoming")));
  EXPECT_THAT(store_.Remove(two), FailsWith(ENOENT));
}

TEST_F(StoreTest, ARemovalThatWasCutShortGoesOn) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  std::filesystem::rename(store_.PathOf(crash), Path("incoming/" + crash.id + ".removed"));
  EXPECT_THAT(AbandonedIds(), IsEmpty());
  EXPECT_THAT(*HalfRemoved(store_.root()), ElementsAre(crash.id + ".removed"));
  EXPECT_THAT(GoOnRemoving(store_.root(), crash.id + ".removed"), Succeeds());
  EXPECT_TRUE(std::filesystem::is_empty(Path("incoming")));
  EXPECT_THAT(GoOnRemoving(store_.root(), "lost+found"), FailsWith(EINVAL));
}

TEST_F(StoreTest, WhatNobodyWritesIsAbandoned) {
  auto written = store_.Begin("0000000000000001");
  auto dropped = store_.Begin("0000000000000002");
  ASSERT_THAT(written, Succeeds());
  ASSERT_THAT(dropped, Succeeds());
  dropped->dir.Reset();
  const auto abandoned = testing::TakeAbandoned(store_);
  ASSERT_THAT(abandoned, Succeeds());
  ASSERT_EQ(abandoned->size(), 1u);
  EXPECT_EQ(abandoned->front().id, "0000000000000002");
  EXPECT_THAT(AbandonedIds(), IsEmpty()) << "it was taken twice";
}

TEST_F(StoreTest, OddThingsInIncomingDoNotStopTheRest) {
  (void)store_.Begin("0000000000000002");  // unlocked at once
  std::filesystem::create_directories(Path("incoming/0000000000000003.removed/folder"));
  std::filesystem::create_directory(Path("incoming/lost+found"));
  std::filesystem::create_directory_symlink(folder_.path(), Path("incoming/0000000000000004"));
  ASSERT_THAT(WriteFileAtomically(store_.root(), "file", "", 0600), Succeeds());
  std::filesystem::rename(Path("file"), Path("incoming/0000000000000005"));
  EXPECT_THAT(AbandonedIds(), ElementsAre("0000000000000002"));
}

TEST_F(StoreTest, WhatIsCommittedMeanwhileIsNotAbandoned) {
  // Its folder is opened, then committed and unlocked by its writer, then locked: it is no longer in
  // incoming/.
  constexpr int kWriters = 4, kRounds = 1000;
  std::atomic<int> writing = kWriters;
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string id = NewCrashId();
        const auto incoming = store_.Begin(id);  // EBUSY: it was taken before it was locked
        if (incoming)
          EXPECT_THAT(store_.Commit(id, kSomeTime), Succeeds());
        else
          EXPECT_THAT(store_.Discard(id), Succeeds());
      }
      --writing;
    });
  while (writing > 0) {
    const auto abandoned = testing::TakeAbandoned(store_);
    ASSERT_THAT(abandoned, Succeeds());
    for (const IncomingCrash& crash : *abandoned) EXPECT_FALSE(Exists("crashes/2026-11-23/" + crash.id));
  }
}

/// The limit that leaves this process `free` more descriptors; other tests may have left gaps.
rlim_t LimitLeaving(rlim_t free) {
  for (int fd = 0;; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && free-- == 0) return static_cast<rlim_t>(fd);
}

TEST_F(StoreTest, WhoLacksDescriptorsTakesNothingForAbsent) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  for (const rlim_t left : {0, 1, 2}) {
    testing::Child child(::fork());
    if (child.pid() == 0) {
      const rlimit limit{LimitLeaving(left), LimitLeaving(left)};
      if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) ::_exit(2);
      const auto presence = store_.PresenceOf(crash);
      if (!presence.exists || !store_.MayExist(crash)) ::_exit(3);
      if (presence.pinned == (left > 0)) ::_exit(4);  // one does: for its folder
      if (left < 2 && store_.ReportStamps(crash.day, std::span(&crash, 1))) ::_exit(5);
      if (store_.RemoveIfEmptied(crash)) ::_exit(6);
      ::_exit(0);
    }
    EXPECT_EQ(child.Wait(), 0) << left;
  }
  EXPECT_THAT(store_.Load(crash), Succeeds());
}

TEST_F(StoreTest, WhoLacksDescriptorsSaysThatNotAllAbandonedArePassed) {
  for (int i = 0; i < 3; ++i) ASSERT_THAT(store_.Begin(NewCrashId()), Succeeds());
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  for (rlim_t more = 1; more < 5; ++more) {
    for (const bool keeps : {true, false}) {
      std::vector<IncomingCrash> kept;
      kept.reserve(3);
      std::size_t passed = 0;
      const rlimit few{LimitLeaving(more), limit.rlim_max};
      ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
      const auto done = store_.ForEachAbandoned([&](IncomingCrash crash) -> Result<void> {
        ++passed;
        if (keeps) kept.push_back(std::move(crash));
        return {};
      });
      ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
      EXPECT_EQ(passed, keeps ? std::min<std::size_t>(more, 3) : 3u) << "one descriptor does for all";
      EXPECT_EQ(done.has_value(), !keeps || more >= 3);
    }
  }
}

TEST_F(StoreTest, CommitsAndRemovalsOfOneDayMayMeet) {
  // Remove() takes the empty day away between the steps of a commit. Readers see whole crashes only.
  constexpr int kRounds = 300;
  std::atomic<bool> stop = false;
  std::jthread remover([&] {
    while (!stop) {
      const auto crashes = store_.CrashesOf("2026-11-23");
      EXPECT_THAT(crashes, Succeeds());
      for (const CrashLocation& crash : *crashes) EXPECT_THAT(store_.Remove(crash), Succeeds());
    }
  });
  for (int i = 0; i < kRounds; ++i) CommitCrash(store_, SampleRecord());
  stop = true;
}

}  // namespace
}  // namespace obit
