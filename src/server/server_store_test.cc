// How the server stops and begins again, and what it makes of the store that it finds.

#include "capture/capture.h"
#include "catalog/list.h"
#include "catalog/numbers.h"
#include "crash/record_json.h"
#include "jobs/fake_analyzer.h"
#include "server/test_server.h"
#include "store/commit.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::Dumping;
using testing::DumpNothing;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::kWriteReport;
using testing::MakeFakeAnalyzer;
using testing::Until;

class ServerStoreTest : public testing::ServerTest {
 protected:
  [[nodiscard]] Store MakeStore() const { return *Store::Create(path_ + "/store"); }
  static CrashRecord LeftRecord(std::uint64_t number = 0) {
    CrashRecord record;
    record.id = "00000000000000aa";
    record.time = RealtimeNow();
    record.number = number;
    return record;
  }
  /// As a capture that was killed leaves it.
  static void Leave(const Store& store, const CrashRecord& record) {
    const IncomingCrash incoming = *store.Begin(record.id);
    EXPECT_THAT(WriteAll(*OpenAt(incoming.dir, kBegunFile, O_WRONLY | O_CREAT, 0600), RecordToJson(record)),
                testing::Succeeds());
  }
};

TEST_F(ServerStoreTest, CapturesWhatWaitsBeforeItStops) {
  config_.slots = 1;
  Start();
  Crash(Dumping(SmallCore(50'000), {}, shared_));
  ASSERT_TRUE(Until([&] { return shared_->sent_part == 1; }));
  for (int i = 0; i < 9; ++i) Crash(Dumping(SmallCore(50'000)));
  ASSERT_TRUE(Until([&] { return shared_->connected == 10; }));
  BeginStop();
  shared_->go_on = true;
  AwaitStop();
  const auto records = Records(10);
  ASSERT_EQ(records.size(), 10U);
  for (const CrashRecord& record : records)
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull) << record.capture.reason;
}

TEST_F(ServerStoreTest, LetsEveryProcessGoWhenTheTimeToStopIsOver) {
  config_.slots = 1;
  config_.stop_timeout = 1s;
  Start();
  for (int i = 0; i < 3; ++i) Crash(DumpNothing);
  ASSERT_TRUE(Until([&] { return Metric("obit_queue_length") == 2; }));
  Stop();
  for (std::size_t i = 0; i < 3; ++i) (void)AnswerTo(i);
  constexpr const char* kWaited = "obitd was stopping while it waited for its turn";
  const auto reason = [](const CrashRecord& record) { return record.capture.reason; };
  EXPECT_EQ(std::ranges::count(Records(2), kWaited, reason), 2);
  // What a worker had is for the next start, unless it was faster than the SIGKILL.
  Start();
  const auto records = AllRecords(3);
  EXPECT_EQ(std::ranges::count(records, kWaited, reason), 2);
  for (const CrashRecord& record : records) EXPECT_EQ(record.capture.outcome, CrashOutcome::kFailed);
}

TEST_F(ServerStoreTest, NumbersGoUpOverRestarts) {
  std::uint64_t before = 0;
  {  // a server that was killed
    StoreNumbers numbers = OpenNumbers(MakeStore(), 4096, false);
    for (int i = 0; i < 3; ++i) before = *numbers.accepted.Take();
  }
  for (std::size_t count = 1; count <= 2; ++count) {
    Start();
    Crash(Dumping(SmallCore(10'000)));
    const auto records = AllRecords(count);
    EXPECT_GT(records.back().number, before);
    before = records.back().number;
  }
}

TEST_F(ServerStoreTest, AWorkersNumberIsBelievedOnlyIfItWasGiven) {
  CrashRecord record = LeftRecord(UINT64_MAX - 1);
  {
    const IncomingCrash incoming = *MakeStore().Begin(record.id);
    ASSERT_THAT(WriteRecord(incoming.dir, record), testing::Succeeds());
  }
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = AllRecords(2);
  EXPECT_EQ(records.at(0).id, record.id);
  EXPECT_EQ(records.at(0).number, 0U);
  EXPECT_EQ(records.at(1).number, 1U);
}

TEST_F(ServerStoreTest, WhatCouldNotBeNumberedIsNumberedLater) {
  const Store store = MakeStore();
  Start();  // and no copy of the lock is there
  StoreNumbers other = OpenNumbers(store, 1, true);
  std::optional<Fd> lock = *other.committed.Lock();
  Crash(Dumping(SmallCore(10'000)));
  EXPECT_EQ(ListFolders(store)->crashes.size(), Records(1).size());
  lock.reset();
  EXPECT_TRUE(Until([&] { return ListFolders(store)->crashes.at(0).commit_number > 0; }));
  EXPECT_TRUE(Until([&] {
    return ListCrashes(store)->crashes.at(0).commit_number == ListFolders(store)->crashes.at(0).commit_number;
  }));
}

TEST_F(ServerStoreTest, WhatAServerLeftKeepsItsPlaceInTheOrder) {
  std::uint64_t number = 0;
  {
    const Store store = MakeStore();
    number = *OpenNumbers(store, 16, true).accepted.Take();
    Leave(store, LeftRecord(number));
  }
  std::filesystem::remove(path_ + "/store/numbers/accepted");  // a power cut
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = AllRecords(2);
  EXPECT_EQ(records.at(0).id, LeftRecord().id);
  EXPECT_EQ(records.at(0).number, number);
  EXPECT_GT(records.at(1).number, number);
}

TEST_F(ServerStoreTest, RecoversWhatADeadServerLeft) {
  Leave(MakeStore(), LeftRecord());
  Start();
  const auto records = AllRecords(1);
  EXPECT_EQ(records.at(0).id, LeftRecord().id);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFailed);
  EXPECT_THAT(records.at(0).capture.reason, HasSubstr("killed while it captured"));
}

TEST_F(ServerStoreTest, TheManagerThatHasThemRecoveredGoesOn) {
  const Store store = MakeStore();
  for (const char* id : {"00000000000000a1", "00000000000000a2", "00000000000000a3"}) {
    CrashRecord record = LeftRecord();
    record.id = id;
    Leave(store, record);
  }
  Start();
  Records(3);
  Crash(Dumping(SmallCore(10'000)));
  AllRecords(4);
  EXPECT_EQ(Metric("obit_processes_replaced_total"), 0);
}

TEST_F(ServerStoreTest, AnalysesWhatItStored) {
  analyzer_ = MakeFakeAnalyzer(path_ + "/analyzer", kWriteReport);
  Start();
  // Not before the clerk has said that it wants them.
  ASSERT_TRUE(Until([&] { return ReadFile(path_ + "/store/metrics.prom", 1 << 16).has_value(); }));
  Crash(Dumping(SmallCore(10'000)));
  const auto records = Records(1);
  const Store store = *Store::Open(path_ + "/store");
  const CrashLocation crash{FormatDay(records.at(0).time), records.at(0).id};
  EXPECT_TRUE(Until([&] { return store.LoadReport(crash).has_value(); }));
  EXPECT_THAT(ReadFile(path_ + "/analyzer.arguments", 4096)->text, HasSubstr("--mapped="));
}

TEST_F(ServerStoreTest, AnalysesNoEvent) {
  analyzer_ = MakeFakeAnalyzer(path_ + "/analyzer", kWriteReport);
  inspector_.facts.core_limit = 0;
  Start();
  Crash(DumpNothing);
  AllRecords(1);
  EXPECT_THAT(ReadFile(path_ + "/analyzer.arguments", 4096), FailsWith(ENOENT)) << "nothing was started";
}

TEST_F(ServerStoreTest, AnalysesWhatAServerBeforeItDidNot) {
  const Store store = MakeStore();
  const CrashRecord record = LeftRecord();
  {
    const IncomingCrash incoming = *store.Begin(record.id);
    ASSERT_THAT(WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600), testing::Succeeds());
    ASSERT_THAT(WriteRecord(incoming.dir, record), testing::Succeeds());
  }
  const CrashLocation crash = *store.Commit(record.id, record.time);
  analyzer_ = MakeFakeAnalyzer(path_ + "/analyzer", kWriteReport);
  Start();
  EXPECT_TRUE(Until([&] { return store.LoadReport(crash).has_value(); }));
}

}  // namespace
}  // namespace obit
