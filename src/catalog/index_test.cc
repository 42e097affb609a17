#include "catalog/index.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <thread>

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "catalog/test_index.h"
#include "crash/report_json.h"
#include "present/cause_sentence.h"

namespace obit {
namespace {

using testing::CommitCrash;
using ::testing::ElementsAre;
using testing::IndexTest;
using ::testing::IsEmpty;
using testing::kOneDay;
using testing::kSomeTime;
using testing::Locations;
using testing::SampleRecord;
using testing::SampleReport;
using testing::Succeeds;
using testing::Text;
using testing::Texts;

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

TEST_F(IndexTest, ADayThatCannotBeLookedAtIsNotForgotten) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  auto index = Index::Open(store_);
  ASSERT_THAT(index, Succeeds());
  ASSERT_EQ(index->List(store_)->crashes.size(), 1u);
  const int free = obit::Open("/dev/null", O_RDONLY)->get();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  // DayChanged() and CrashesOf() need one each.
  const rlimit few{static_cast<rlim_t>(free), limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto refreshed = index->Refresh(store_, crash.day);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_THAT(refreshed, testing::FailsWith(EMFILE));
  EXPECT_EQ(Index::Open(store_)->List(store_)->crashes.size(), 1u);
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

TEST_F(IndexTest, SeesThatRowsAreMissing) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  CommitCrash(store_, SampleRecord());
  SetDayChanged(crash.day, 1000);
  List();
  Sql(fmt::format("DELETE FROM crashes WHERE id = '{}'", crash.id).c_str());
  EXPECT_EQ(ListAsTheFolders().crashes.size(), 2u);
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
  ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
  List();
  const CrashList list = ListAsTheFolders();
  ASSERT_EQ(list.crashes.size(), 1u);
  EXPECT_EQ(list.crashes[0].kind, CauseKind::kNullRead);
  EXPECT_EQ(list.crashes[0].cause, CauseSentence(report.cause));
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
    report.cause.old_sentence = sentence;
    ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
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
    report.cause.old_sentence = sentence;
    ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
    ASSERT_THAT(index->Add(store_, std::span(&crash, 1)), Succeeds());
    const CrashList list = ListAsTheFolders();
    ASSERT_EQ(list.crashes.size(), 1u);
    EXPECT_EQ(list.crashes[0].cause, sentence);
  }
}

TEST_F(IndexTest, ANewReportOfAKnownCrashIsTakenWithoutItsRecord) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  List();
  SetPid(crash, 7);
  for (const bool by_add : {true, false}) {
    Report report = SampleReport(crash.id);
    report.cause.old_sentence = by_add ? "first" : "second";
    ASSERT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
    if (by_add) {
      ASSERT_THAT(Index::Open(store_)->Add(store_, std::span(&crash, 1)), Succeeds());
    }
    const CrashList list = List();
    ASSERT_EQ(list.crashes.size(), 1u);
    EXPECT_EQ(list.crashes[0].cause, CauseSentence(report.cause));
    EXPECT_EQ(list.crashes[0].pid, 48213) << "the record was read again";
    EXPECT_EQ(list.crashes[0].comm, "imgproxy");
    EXPECT_EQ(list.crashes[0].exe, "/usr/bin/img\xff proxy");
  }
  ::unlink((store_.PathOf(crash) + "/" + kReportFile).c_str());
  ASSERT_THAT(Index::Open(store_)->Add(store_, std::span(&crash, 1)), Succeeds());
  EXPECT_EQ(List().crashes.at(0).cause, "") << "its report is gone";
}

TEST_F(IndexTest, SeesThatACoreWasRemoved) {
  CrashRecord record = SampleRecord();
  record.capture.stored_bytes = 1'000;
  const CrashLocation crash = CommitCrash(store_, record);
  auto other = *Index::Open(store_);
  ASSERT_THAT(other.List(store_), Succeeds());
  EXPECT_TRUE(ListAsTheFolders().crashes.at(0).has_core());
  EXPECT_EQ(other.Use()->stored_bytes, 1'000u);
  SetDayChanged(crash.day, 1'000'000'000'000);
  ASSERT_EQ(List().crashes.size(), 1u);  // the day is settled
  ASSERT_THAT(store_.RemoveCore(crash, {.id = crash.id}), Succeeds());
  EXPECT_FALSE(ListAsTheFolders().crashes.at(0).has_core());
  EXPECT_EQ(ListAsTheFolders().crashes.at(0).stored_bytes, 1'000u) << "it says what there was";
  ASSERT_THAT(other.List(store_), Succeeds());
  EXPECT_EQ(other.Use()->stored_bytes, 0u);
  EXPECT_EQ(other.Kept(store_)->crashes().at(0).core_bytes, 0u);
}

TEST_F(IndexTest, CrashesOfOneRangeTakeOneShare) {
  KeptCrashes kept;
  for (const uid_t uid : {100'000U, 100'001U, 1000U}) {
    CrashSummary crash{.location = {"2026-11-23", NewCrashId()}};
    crash.uid = uid;
    kept.Add(crash);
  }
  kept.ShareAs(UserRanges("alice:100000:65536\n"));
  EXPECT_EQ(kept.crashes()[0].user, kept.crashes()[1].user);
  EXPECT_NE(kept.crashes()[0].user, kept.crashes()[2].user);
  EXPECT_NE(kept.crashes()[0].uid, kept.crashes()[1].uid);
}

TEST_F(IndexTest, KnowsForRetentionWhatTheListSays) {
  CrashRecord record = SampleRecord();
  record.number = 7;
  record.capture.stored_bytes = 1'000;
  record.capture.handling.retention = RetentionClass::kKeep;
  record.process.cgroup = "/system.slice/imgproxy.service";
  const CrashLocation crash = CommitCrash(store_, record);
  ASSERT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), Succeeds());
  const CrashList list = ListAsTheFolders();
  EXPECT_EQ(list.crashes.at(0).unit, "imgproxy.service");
  const auto kept = Index::Open(store_)->Kept(store_);
  ASSERT_THAT(kept, Succeeds());
  ASSERT_EQ(kept->crashes().size(), 1u);
  EXPECT_EQ(kept->LocationOf(0), crash);
  const KeptCrash &one = kept->crashes()[0], expected = KeptOf(list.crashes[0]);
  EXPECT_EQ(std::tuple(one.id, one.number, one.time, one.group, one.user, one.unit, one.core_bytes,
                       one.record_bytes),
            std::tuple(expected.id, expected.number, expected.time, expected.group, expected.user,
                       expected.unit, expected.core_bytes, expected.record_bytes));
  EXPECT_EQ(one.uid, 1000u);
  EXPECT_EQ(one.retention, RetentionClass::kKeep);
  EXPECT_THAT(Confirm(store_, crash, one), Succeeds());
  KeptCrash lie = one;
  lie.retention = RetentionClass::kShort;
  EXPECT_THAT(Confirm(store_, crash, lie), testing::FailsWith(EBADMSG))
      << "the index is no reason to remove it";
  CrashSummary of_another = list.crashes[0];
  of_another.uid = 1001;
  EXPECT_NE(KeptOf(of_another).unit, one.unit) << "a unit of his may have any name";
  EXPECT_EQ(one.group, 0xa71c0900b04d6e58u);
  EXPECT_EQ(one.core_bytes, 1'000u);
  EXPECT_GT(one.record_bytes, 4 * 4096u - 1) << "with a report";
}

TEST_F(IndexTest, WhoHasJustCommittedACrashAddsItWithoutItsRecord) {
  const CrashRecord record = SampleRecord();
  const CrashLocation crash = CommitCrash(store_, record), gone = CommitCrash(store_, SampleRecord());
  const std::vector<CrashSummary> committed{Summarize(crash, record), {.location = gone}};
  ASSERT_THAT(store_.Remove(gone), Succeeds());
  ASSERT_THAT(store_.WriteCommitNumber(crash, 5), Succeeds());
  SetPid(crash, 7);
  auto index = *Index::Open(store_);
  ASSERT_THAT(index.AddCommitted(store_, committed), Succeeds());
  EXPECT_EQ(index.Use()->crashes, 1u) << "the other one is gone";
  EXPECT_EQ(List().crashes.at(0).pid, 48213) << "the record was read";
  ASSERT_THAT(store_.WriteReport(crash, SampleReport(crash.id), {}), Succeeds());
  ASSERT_THAT(index.AddCommitted(store_, committed), Succeeds());
  EXPECT_TRUE(List().crashes.at(0).group) << "a report that was there before its row";
  EXPECT_EQ(List().crashes.at(0).commit_number, 5u);
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

TEST_F(IndexTest, WhatIsNoFolderButNamedAsADayIsEmpty) {
  const CrashLocation crash = CommitCrash(store_, SampleRecord());
  std::ofstream(DayFolder("2026-01-01")) << "x";
  ASSERT_EQ(::symlink(crash.day.c_str(), DayFolder("2026-01-02").c_str()), 0);
  EXPECT_THAT(Locations(ListAsTheFolders()), ElementsAre(crash));
  for (const char* day : {"2026-01-01", "2026-01-02"})
    EXPECT_THAT(Index::Open(store_)->Refresh(store_, day), Succeeds());
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
  EXPECT_EQ(index->Rebuild(store_)->crashes.size(), 2u);
  EXPECT_EQ(List().crashes.at(0).pid, 7);
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
