#include "store/index.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <thread>

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "crash/report_json.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::CommitCrash;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kOneDay;
using testing::kSomeTime;
using testing::SampleRecord;
using testing::SampleReport;
using testing::Succeeds;
using testing::TemporaryFolder;

std::string Text(const CrashSummary& crash) {
  return fmt::format("{}/{} {} {} {} {} {} {} {} {} {} {} {}", crash.location.day, crash.location.id,
                     crash.time, crash.pid, crash.uid ? std::to_string(*crash.uid) : "none", crash.comm,
                     crash.exe, crash.signal, NameOf(crash.detail), NameOf(crash.outcome), crash.core_bytes,
                     crash.stored_bytes, crash.reason) +
         fmt::format(" {} {} {} {}", NameOf(crash.kind), crash.cause, crash.guess,
                     crash.group ? fmt::format("{}:{:x}", crash.group->version, crash.group->value) : "none");
}

std::vector<std::string> Texts(const CrashList& list) {
  std::vector<std::string> texts;
  for (const CrashSummary& crash : list.crashes) texts.push_back(Text(crash));
  for (const BrokenCrash& crash : list.broken) texts.push_back("broken " + crash.location.id);
  return texts;
}

std::vector<CrashLocation> Locations(const CrashList& list) {
  std::vector<CrashLocation> locations;
  for (const CrashSummary& crash : list.crashes) locations.push_back(crash.location);
  return locations;
}

class IndexTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();

  [[nodiscard]] std::string File() const { return store_.path() + "/index.db"; }
  [[nodiscard]] std::string DayFolder(const std::string& day) const {
    return store_.path() + "/crashes/" + day;
  }

  /// What the index says; checks that the folders say the same.
  CrashList List() {
    auto index = Index::Open(store_);
    EXPECT_THAT(index, Succeeds());
    if (!index) return {};
    auto list = index->List(store_);
    EXPECT_THAT(list, Succeeds());
    if (!list) return {};
    return std::move(*list);
  }
  CrashList ListAsTheFolders() {
    CrashList list = List();
    const auto folders = ListFolders(store_);
    EXPECT_THAT(folders, Succeeds());
    EXPECT_EQ(Texts(list), Texts(*folders));
    return list;
  }

  /// Makes a day look as if it had changed last at `nanoseconds`, long ago.
  void SetDayChanged(const std::string& day, std::int64_t nanoseconds) const {
    const timespec times[] = {{0, UTIME_OMIT}, {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000}};
    ASSERT_EQ(::utimensat(AT_FDCWD, DayFolder(day).c_str(), times, 0), 0);
  }

  /// Changes what is stored of a crash without a trace in its day: only a record that is read again shows it.
  void ChangeRecord(const CrashLocation& crash, const std::function<std::string(CrashRecord)>& text) const {
    auto record = store_.Load(crash);
    ASSERT_THAT(record, Succeeds());
    const std::string changed = text(*record);
    std::ofstream(store_.PathOf(crash) + "/" + kRecordFile, std::ios::trunc) << changed;
  }
  void SetPid(const CrashLocation& crash, pid_t pid) const {
    ChangeRecord(crash, [pid](CrashRecord record) {
      record.process.pid = pid;
      return RecordToJson(record);
    });
  }

  void Sql(const char* sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(File().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
};

TEST_F(IndexTest, ListsAnEmptyStore) { EXPECT_THAT(Texts(ListAsTheFolders()), IsEmpty()); }

TEST_F(IndexTest, ListsWhatTheFoldersHaveOldestFirst) {
  const CrashLocation third = CommitCrash(store_, SampleRecord(kSomeTime + kOneDay));
  const CrashLocation second = CommitCrash(store_, SampleRecord(kSomeTime + 1));
  const CrashLocation first = CommitCrash(store_, SampleRecord(kSomeTime));
  EXPECT_THAT(Locations(ListAsTheFolders()), ElementsAre(first, second, third));
  EXPECT_THAT(Locations(ListAsTheFolders()), ElementsAre(first, second, third));
}

TEST_F(IndexTest, KeepsEveryFieldWithAnyBytes) {
  CrashRecord record = SampleRecord();
  record.process.pid = 4'000'000;
  record.process.uid = UINT32_MAX - 1;
  record.process.comm = std::string("a\0b\xff\x1b", 5);
  record.process.exe = "/tmp/\xc3\x28'; DROP TABLE crashes; --";
  record.signal.number = 64;
  record.capture.detail = Detail::kMinimal;
  record.capture.outcome = CrashOutcome::kTruncated;
  record.capture.reason = "no space\xff";
  record.capture.core_bytes = UINT64_MAX;
  record.capture.stored_bytes = 1ULL << 63;
  const CrashLocation crash = CommitCrash(store_, record);
  CrashRecord empty = SampleRecord(kSomeTime + 1);
  empty.process = {};
  CommitCrash(store_, empty);
  List();
  const CrashList list = ListAsTheFolders();
  ASSERT_EQ(list.crashes.size(), 2u);
  EXPECT_EQ(Text(list.crashes[0]), Text(Summarize(crash, record)));
  EXPECT_FALSE(list.crashes[1].uid);
}

TEST_F(IndexTest, SeesEachCommit) {
  for (int i = 0; i < 5; ++i) {
    CommitCrash(store_, SampleRecord(kSomeTime + i));
    EXPECT_EQ(ListAsTheFolders().crashes.size(), static_cast<std::size_t>(i + 1));
  }
}

TEST_F(IndexTest, DoesNotReadARecordTwice) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  List();
  SetPid(crash, 7);
  EXPECT_EQ(List().crashes.at(0).pid, 48213);
  SetDayChanged(crash.day, kSomeTime);  // read again, but only for new names
  EXPECT_EQ(List().crashes.at(0).pid, 48213);
}

TEST_F(IndexTest, DoesNotReadADayThatHasNotChanged) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, 1000);
  List();
  CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, 1000);  // as if nothing had been
  EXPECT_EQ(List().crashes.size(), 1u);
}

TEST_F(IndexTest, SeesACommitInTheSameTickAsTheLastList) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const std::int64_t changed = store_.DayChanged(crash.day);
  List();
  CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, changed);
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 2u);
}

TEST_F(IndexTest, SeesRemovalsBehindItsBack) {
  const CrashLocation one = CommitCrash(store_, SampleRecord()), two = CommitCrash(store_, SampleRecord());
  const CrashLocation other_day = CommitCrash(store_, SampleRecord(kSomeTime + kOneDay));
  List();
  ASSERT_THAT(store_.Remove(one), Succeeds());
  std::filesystem::remove_all(DayFolder(other_day.day));
  EXPECT_THAT(Locations(ListAsTheFolders()), ElementsAre(two));
  ASSERT_THAT(store_.Remove(two), Succeeds());
  EXPECT_THAT(Texts(ListAsTheFolders()), IsEmpty());
}

TEST_F(IndexTest, TellsOfABrokenRecordUntilItIsRepaired) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  CommitCrash(store_, SampleRecord());
  const CrashRecord record = *store_.Load(crash);
  ChangeRecord(crash, [](const CrashRecord&) { return "{"; });
  SetDayChanged(crash.day, 1000);
  for (int i = 0; i < 2; ++i) {
    const CrashList list = ListAsTheFolders();
    EXPECT_EQ(list.crashes.size(), 1u);
    ASSERT_EQ(list.broken.size(), 1u);
    EXPECT_EQ(list.broken[0].location, crash);
    EXPECT_EQ(list.broken[0].why.code, EBADMSG);
  }
  std::ofstream(store_.PathOf(crash) + "/" + kRecordFile) << RecordToJson(record);
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 2u);
}

TEST_F(IndexTest, TellsOfACrashWithoutARecord) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  std::ofstream(store_.PathOf(crash) + "/" + kCoreFile) << "x";
  std::filesystem::remove(store_.PathOf(crash) + "/" + kRecordFile);
  EXPECT_THAT(Texts(ListAsTheFolders()), ElementsAre("broken " + crash.id));
}

TEST_F(IndexTest, AFolderWithNothingInItWasRemovedByTheOwner) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  List();
  std::filesystem::remove(store_.PathOf(crash) + "/" + kRecordFile);
  auto before = *ListCrashes(store_);
  DropRemoved(store_, before.crashes);
  EXPECT_THAT(Texts(before), ElementsAre());
  EXPECT_THAT(Texts(*ListFolders(store_)), ElementsAre());
  EXPECT_THAT(Texts(ListAsTheFolders()), ElementsAre());
  EXPECT_FALSE(std::filesystem::exists(store_.PathOf(crash))) << "and is taken away by who may";
}

TEST_F(IndexTest, KeepsWhatTheReportSays) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  Report report = SampleReport(crash.id);
  report.cause.guess = true;
  report.fingerprint.version = 7;
  report.fingerprint.value = "ffffffffffffffff";
  ASSERT_THAT(store_.WriteReport(crash, report), Succeeds());
  List();
  const CrashList list = ListAsTheFolders();
  ASSERT_EQ(list.crashes.size(), 1u);
  EXPECT_EQ(list.crashes[0].kind, CauseKind::kNullRead);
  EXPECT_EQ(list.crashes[0].cause, report.cause.sentence);
  EXPECT_TRUE(list.crashes[0].guess);
  EXPECT_EQ(list.crashes[0].group, (GroupKey{7, UINT64_MAX}));
}

TEST_F(IndexTest, SeesAReportThatComesLaterOrIsReplaced) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord()),
                      other = CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, 1000);
  List();
  SetPid(other, 7);
  Report report = SampleReport(crash.id);
  for (const char* sentence : {"first", "second", "third"}) {
    report.cause.sentence = sentence;
    ASSERT_THAT(store_.WriteReport(crash, report), Succeeds());
    for (const bool settled : {false, true}) {
      if (settled) SetDayChanged(crash.day, kSomeTime + sentence[0]);
      const CrashList list = List();
      ASSERT_EQ(list.crashes.size(), 2u);
      for (const CrashSummary& row : list.crashes) {
        EXPECT_EQ(row.cause, row.location == crash ? sentence : "");
        EXPECT_EQ(row.pid, 48213) << "a crash without a new report was read again";
      }
    }
  }
  std::filesystem::remove(store_.PathOf(crash) + "/" + kReportFile);
  SetDayChanged(crash.day, 2000);
  SetPid(other, 48213);
  for (const CrashSummary& row : ListAsTheFolders().crashes) EXPECT_EQ(row.cause, "");
}

TEST_F(IndexTest, AReportThatCannotBeReadIsNoneUntilItCan) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  const std::string path = store_.PathOf(crash) + "/" + kReportFile;
  std::ofstream(path) << "{";
  SetDayChanged(crash.day, 1000);
  EXPECT_FALSE(ListAsTheFolders().crashes.at(0).group);
  std::ofstream(path, std::ios::trunc) << ReportToJson(SampleReport(crash.id));
  SetDayChanged(crash.day, 2000);
  EXPECT_TRUE(ListAsTheFolders().crashes.at(0).group);
}

TEST_F(IndexTest, AddTakesInWhatIsNewAndLooksAtNothingElse) {
  auto index = Index::Open(store_);
  ASSERT_THAT(index, Succeeds());
  const CrashLocation known = CommitCrash(store_, SampleRecord());
  SetDayChanged(known.day, 1000);
  ASSERT_THAT(index->List(store_), Succeeds());
  std::filesystem::rename(store_.PathOf(known), DayFolder("elsewhere"));
  const std::vector<CrashLocation> added{CommitCrash(store_, SampleRecord()),
                                         CommitCrash(store_, SampleRecord(kSomeTime + kOneDay))};
  ASSERT_THAT(index->Add(store_, added), Succeeds());
  SetPid(added[0], 7);
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(File().c_str(), &database), SQLITE_OK);
  int rows = 0;
  const auto count = [](void* out, int, char** values, char**) {
    *static_cast<int*>(out) = std::atoi(values[0]);
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, "SELECT count(*) FROM crashes", count, &rows, nullptr), SQLITE_OK);
  sqlite3_close(database);
  EXPECT_EQ(rows, 3) << "the one that is gone is still a row";
  const CrashList list = List();
  EXPECT_THAT(Locations(list), ElementsAre(added[0], added[1]));
  EXPECT_EQ(list.crashes.at(0).pid, 48213) << "it was not a row yet";
}

TEST_F(IndexTest, AddSeesANewReport) {
  auto index = Index::Open(store_);
  ASSERT_THAT(index, Succeeds());
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  for (const char* sentence : {"first", "second"}) {
    Report report = SampleReport(crash.id);
    report.cause.sentence = sentence;
    ASSERT_THAT(store_.WriteReport(crash, report), Succeeds());
    ASSERT_THAT(index->Add(store_, std::span(&crash, 1)), Succeeds());
    const CrashList list = ListAsTheFolders();
    ASSERT_EQ(list.crashes.size(), 1u);
    EXPECT_EQ(list.crashes[0].cause, sentence);
  }
}

TEST_F(IndexTest, AddOfWhatIsGoneForgetsIt) {
  auto index = Index::Open(store_);
  ASSERT_THAT(index, Succeeds());
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(index->Add(store_, std::span(&crash, 1)), Succeeds());
  ASSERT_THAT(store_.Remove(crash), Succeeds());
  EXPECT_THAT(index->Add(store_, std::span(&crash, 1)), Succeeds());
  EXPECT_THAT(Texts(ListAsTheFolders()), IsEmpty());
}

TEST_F(IndexTest, RefreshTakesInOneDay) {
  auto index = Index::Open(store_);
  ASSERT_THAT(index, Succeeds());
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(index->Refresh(store_, crash.day), Succeeds());
  SetPid(crash, 7);
  EXPECT_EQ(List().crashes.at(0).pid, 48213) << "it was not a row yet";
  ASSERT_THAT(store_.Remove(crash), Succeeds());
  ASSERT_THAT(index->Refresh(store_, crash.day), Succeeds());
  EXPECT_THAT(Texts(ListAsTheFolders()), IsEmpty());
}

TEST_F(IndexTest, RebuildReadsAllAnew) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  CommitCrash(store_, SampleRecord(kSomeTime + kOneDay));
  SetDayChanged(crash.day, 1000);
  List();
  SetPid(crash, 7);
  auto index = Index::Open(store_);
  ASSERT_THAT(index, Succeeds());
  EXPECT_THAT(index->Rebuild(store_), ::testing::Optional(std::size_t{2}));
  EXPECT_EQ(List().crashes.at(0).pid, 7);
}

TEST_F(IndexTest, IsMadeAnewFromWhatIsNoDatabase) {
  CommitCrash(store_, SampleRecord());
  for (const std::string& garbage : {std::string("x"), std::string(100'000, 'x')}) {
    std::filesystem::remove(File() + "-wal");
    std::ofstream(File(), std::ios::trunc) << garbage;
    EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
  }
}

TEST_F(IndexTest, IsMadeAnewWhenDamagedInTheMiddle) {
  for (int i = 0; i < 200; ++i) CommitCrash(store_, SampleRecord(kSomeTime + i));
  SetDayChanged("2026-11-23", 1000);
  List();
  Sql("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(File()));
  ASSERT_GT(size, 20'000);
  std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);  // past the header and the names of the tables
  file << std::string(static_cast<std::size_t>(size - 4096), '\xa5');
  file.close();
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 200u);
  SetPid(List().crashes.at(0).location, 7);
  EXPECT_EQ(List().crashes.at(0).pid, 48213) << "it was not rebuilt";
}

TEST_F(IndexTest, IsMadeAnewWhenARowMakesNoSense) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, 1000);
  List();
  Sql("UPDATE crashes SET outcome = 'odd'");
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
}

TEST_F(IndexTest, IsMadeAnewOfAnotherVersion) {
  CommitCrash(store_, SampleRecord());
  List();
  Sql("PRAGMA user_version = 99; DROP TABLE crashes");
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
}

TEST_F(IndexTest, IsMadeAnewWithTablesOfAnotherProgram) {
  CommitCrash(store_, SampleRecord());
  Sql("CREATE TABLE crashes (when_it_was TEXT)");
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
  Sql("DROP TABLE days; CREATE TABLE days (other TEXT)");  // the version is right, the tables are not
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 1u);
}

TEST_F(IndexTest, FileIsPrivateWhateverTheUmask) {
  for (const mode_t mask : {0u, 0777u}) {
    std::filesystem::remove(File());
    const mode_t old = ::umask(mask);
    List();
    ::umask(old);
    struct stat status{};
    ASSERT_EQ(::stat(File().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u) << mask;
  }
}

/// Without the rights of root, which no file mode binds, while it lives.
class WithoutRoot {
 public:
  WithoutRoot() {
    if (user_ == 0 && ::seteuid(65534) < 0) ADD_FAILURE() << errno;
  }
  WithoutRoot(WithoutRoot&&) = delete;
  ~WithoutRoot() {
    if (user_ == 0 && ::seteuid(0) < 0) ADD_FAILURE() << errno;
  }

 private:
  uid_t user_ = ::geteuid();
};

TEST_F(IndexTest, AStoreThatMayNotBeWrittenIsListedFromItsFolders) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  for (const bool with_file : {false, true}) {
    if (with_file) List();
    ::chmod(folder_.path().c_str(), 0755);
    using std::filesystem::perms;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
      std::filesystem::permissions(entry.path(), entry.is_directory() ? perms{0555} : perms{0444});
    {
      const WithoutRoot without_root;
      EXPECT_FALSE(Index::Open(store_)) << with_file;
      const auto list = ListCrashes(store_);
      ASSERT_THAT(list, Succeeds());
      EXPECT_THAT(Locations(*list), ElementsAre(crash));
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
      std::filesystem::permissions(entry.path(), entry.is_directory() ? perms{0700} : perms{0600});
  }
}

TEST_F(IndexTest, ASymlinkInItsPlaceIsNotFollowed) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  ASSERT_THAT(WriteFileAtomically(folder_.fd(), "elsewhere", "", 0600), Succeeds());
  std::filesystem::create_symlink(folder_ / "elsewhere", File());
  EXPECT_FALSE(Index::Open(store_));
  const auto list = ListCrashes(store_);
  ASSERT_THAT(list, Succeeds());
  EXPECT_THAT(Locations(*list), ElementsAre(crash));
  EXPECT_EQ(std::filesystem::file_size(folder_ / "elsewhere"), 0u);
}

TEST_F(IndexTest, AnIndexThatFailsInTheMiddleIsDoneWithout) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  List();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(File().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr),
            SQLITE_OK);  // and never ends it
  auto index = Index::Open(store_);
  ASSERT_THAT(index, Succeeds());
  EXPECT_THAT(index->List(store_), testing::FailsWith(EBUSY));
  const auto list = ListCrashes(store_);
  sqlite3_close(other);
  ASSERT_THAT(list, Succeeds());
  EXPECT_THAT(Locations(*list), ElementsAre(crash));
}

TEST_F(IndexTest, SeveralMayListWhileCrashesComeAndGo) {
  constexpr int kCrashes = 100;
  std::atomic<bool> stop = false;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!stop) EXPECT_THAT(ListCrashes(store_), Succeeds());
    });
  std::vector<CrashLocation> crashes;
  for (int i = 0; i < kCrashes; ++i) {
    crashes.push_back(CommitCrash(store_, SampleRecord(kSomeTime + i * kOneDay / 20)));
    if (i % 3 != 2) continue;
    CrashLocation& removed = crashes[static_cast<std::size_t>(i) / 2];
    EXPECT_THAT(store_.Remove(removed), Succeeds());
    removed.id.clear();
  }
  stop = true;
  readers.clear();
  std::erase_if(crashes, [](const CrashLocation& crash) { return crash.id.empty(); });
  EXPECT_EQ(Locations(ListAsTheFolders()), crashes);
}

}  // namespace
}  // namespace obit
