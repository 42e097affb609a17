#include "jobs/analysis_queue.h"

#include <chrono>
#include <set>

#include <sys/mman.h>

#include "base/test_support.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "crash/record_json.h"
#include "jobs/fake_analyzer.h"
#include "kernel/bag.h"
#include "process/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::kWriteReport;
using testing::MakeFakeAnalyzer;
using testing::Succeeds;
using testing::TemporaryFolder;

class AnalysisQueueTest : public testing::LoopTest {
 protected:
  /// With a script in the place of obit-analyze.
  AnalysisQueue& Make(const std::string& commands, Config config = {}) {
    queue_.emplace(loop_, store_, undead_, MakeFakeAnalyzer(folder_ / "analyzer", commands), config,
                   [this](const CrashLocation& crash, CrashOwner, JobUser, const CrashHandling& handling,
                          const Report& report) {
                     EXPECT_EQ(crash.id, report.id);
                     stored_.insert(crash.id);
                     handling_ = handling;
                   });
    return *queue_;
  }
  /// A crash in the store, on a day since 1970.
  CrashLocation Crash(int number, int day = 0, bool has_core = true, std::optional<uid_t> user = {}) {
    const std::string id = fmt::format("{:016x}", number);
    const IncomingCrash incoming = *store_.Begin(id);
    CrashRecord record;
    record.id = id;
    record.process.uid = user;
    EXPECT_TRUE(WriteFileAtomically(incoming.dir, kRecordFile, RecordToJson(record), 0600));
    EXPECT_TRUE(!has_core || WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600));
    return *store_.Commit(id, day * 86'400'000'000'000LL);
  }
  void RunUntilStored(std::size_t count) {
    RunThrough({{.reached = [this, count] { return stored_.size() >= count; }}});
  }
  /// What a script waits for.
  void LetGo() { EXPECT_TRUE(WriteFileAtomically(folder_.fd(), "analyzer.go", "", 0600)); }
  [[nodiscard]] bool Exists(const std::string& name) const { return ReadFile(folder_ / name, 1).has_value(); }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  std::set<std::string> stored_;
  CrashHandling handling_;  // of the last one
  UndeadChildren undead_{loop_};
  std::optional<AnalysisQueue> queue_;
};

TEST_F(AnalysisQueueTest, StoresAReportForItsOwnerOnly) {
  const CrashLocation crash = Crash(1);
  Make(kWriteReport).Add(crash, {}, {}, {});
  RunUntilStored(1);
  const auto report = store_.LoadReport(crash);
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->failure, "");
  struct stat status{};
  ASSERT_EQ(::fstat(store_.OpenFile(crash, kReportFile)->get(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST_F(AnalysisQueueTest, StoresWhyThereIsNoMore) {
  const CrashLocation crash = Crash(1);
  Make("exit 1").Add(crash, {}, {}, {});
  RunUntilStored(1);
  EXPECT_EQ(store_.LoadReport(crash)->failure, "the analyzer ended with status 1");
}

TEST_F(AnalysisQueueTest, ForgetsACrashThatWasRemoved) {
  const CrashLocation before = Crash(1), meanwhile = Crash(2), last = Crash(3);
  AnalysisQueue& queue =
      Make("echo > $0.$id; while [ ! -e $0.go ]; do sleep 0.01; done; " + std::string(kWriteReport));
  ASSERT_TRUE(store_.Remove(before));
  queue.Add(before, {}, {}, {});
  queue.Add(meanwhile, {}, {}, {});
  queue.Add(last, {}, {}, {});
  RunThrough({{[&] { return Exists("analyzer." + meanwhile.id); },
               [&] {
                 EXPECT_TRUE(store_.Remove(meanwhile));
                 LetGo();
               }},
              {[this] { return !stored_.empty(); }}});
  EXPECT_EQ(stored_, std::set{last.id});
  EXPECT_EQ(store_.CrashesOf(last.day)->size(), 1u);
}

TEST_F(AnalysisQueueTest, RunsNoMoreThanItsSlots) {
  AnalysisQueue& queue = Make("echo begin >> $0.log; while [ ! -e $0.go ]; do sleep 0.01; done; " +
                              std::string(kWriteReport) + "; echo end >> $0.log");
  for (int i = 1; i <= 3; ++i) queue.Add(Crash(i), {}, {}, {});
  RunThrough({{[this] { return Exists("analyzer.log"); }, [this] { LetGo(); }},
              {[this] { return stored_.size() == 3; }}});
  EXPECT_EQ(ReadFile(folder_ / "analyzer.log", 1000)->text, "begin\nend\nbegin\nend\nbegin\nend\n");
}

TEST_F(AnalysisQueueTest, WaitsWhileItIsHeldAndKeepsDescriptorsOfSome) {
  AnalysisQueue& queue = Make(kWriteReport);
  queue.Hold(true);
  std::vector<Fd> ends;  // which end when the bag beside them is closed
  for (std::size_t i = 0; i <= AnalysisQueue::kHoldingMax; ++i) {
    EXPECT_EQ(queue.WantsMappedFiles(), i < AnalysisQueue::kHoldingMax) << "none has left the queue";
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
    ends.emplace_back(pipe[0]);
    queue.Add(Crash(static_cast<int>(i) + 1), {}, i % 2, Fd(pipe[1]));
  }
  char byte = 0;
  EXPECT_EQ(::read(ends.front().get(), &byte, 1), -1) << "still open";
  EXPECT_EQ(::read(ends.back().get(), &byte, 1), 0) << "there were enough";
  queue.Hold(false);
  RunUntilStored(AnalysisQueue::kHoldingMax + 1);
  EXPECT_TRUE(queue.WantsMappedFiles());
  EXPECT_EQ(::read(ends.front().get(), &byte, 1), 0);
}

TEST_F(AnalysisQueueTest, NobodyHasAllDescriptors) {
  AnalysisQueue& queue = Make(kWriteReport);
  queue.Hold(true);
  std::vector<Fd> ends;
  for (std::size_t i = 0; i <= AnalysisQueue::kHoldingMax / 2; ++i) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
    ends.emplace_back(pipe[0]);
    queue.Add(Crash(static_cast<int>(i) + 1), {}, 1000, Fd(pipe[1]));
  }
  char byte = 0;
  EXPECT_EQ(::read(ends.front().get(), &byte, 1), -1) << "still open";
  EXPECT_EQ(::read(ends.back().get(), &byte, 1), 0) << "this user has half of them";
  EXPECT_TRUE(queue.WantsMappedFiles());
  queue.Hold(false);
  RunUntilStored(ends.size());
}

TEST_F(AnalysisQueueTest, UsersTakeTurns) {
  AnalysisQueue& queue = Make("echo $id >> $0.log; " + std::string(kWriteReport));
  queue.Hold(true);
  for (int i = 1; i <= 3; ++i) queue.Add(Crash(i), {}, 1000, {});
  queue.Add(Crash(4), {}, 1001, {});
  queue.Hold(false);
  RunUntilStored(4);
  EXPECT_EQ(ReadFile(folder_ / "analyzer.log", 1000)->text,
            fmt::format("{:016x}\n{:016x}\n{:016x}\n{:016x}\n", 1, 4, 2, 3));
}

TEST_F(AnalysisQueueTest, WhoHasMostLosesTheNewest) {
  AnalysisQueue& queue = Make(kWriteReport);
  queue.Hold(true);
  const CrashLocation gone{"2026-01-01", "00000000000000ff"};
  ::testing::internal::CaptureStderr();
  for (std::size_t i = 0; i < AnalysisQueue::kWaitingMax; ++i) queue.Add(gone, {}, 1000, {});
  EXPECT_EQ(queue.dropped(), 0U);
  queue.Add(Crash(1), {}, 1001, {});
  queue.Add(gone, {}, 1000, {});
  EXPECT_EQ(queue.dropped(), 2U);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("too many crashes wait"));
  queue.Hold(false);
  RunUntilStored(1);
}

TEST_F(AnalysisQueueTest, TakesWhatAServerBeforeItLeft) {
  const CrashLocation old = Crash(1, 1), second = Crash(2, 2), third = Crash(3, 3), newest = Crash(4, 4);
  const CrashLocation event = Crash(5, 4, false), analysed = Crash(6, 4);
  ASSERT_TRUE(store_.WriteReport(analysed, Report{.id = analysed.id}, {}));
  AnalysisQueue& queue = Make("echo $id >> $0.log; " + std::string(kWriteReport));
  queue.Hold(true);
  queue.AddUnanalysed();
  const CrashLocation now = Crash(7, 4);
  queue.Add(now, {}, {}, {});
  queue.Hold(false);
  RunUntilStored(4);
  EXPECT_EQ(ReadFile(folder_ / "analyzer.log", 1000)->text,
            fmt::format("{}\n{}\n{}\n{}\n", now.id, newest.id, third.id, second.id));
  EXPECT_THAT(store_.LoadReport(old), FailsWith(ENOENT)) << "of too many days ago";
  EXPECT_THAT(store_.LoadReport(event), FailsWith(ENOENT));
}

TEST_F(AnalysisQueueTest, TakesWhatWasLeftOfUsersInTurns) {
  std::vector<CrashLocation> many;
  for (int i = 1; i <= 3; ++i) many.push_back(Crash(i, 4, true, 1000));
  const CrashLocation others = Crash(9, 3, true, 1001), unknown = Crash(10, 4);
  ASSERT_TRUE(
      WriteFileAtomically(*Open(store_.PathOf(unknown), O_RDONLY | O_DIRECTORY), kRecordFile, "{", 0600));
  AnalysisQueue& queue = Make("echo $id >> $0.log; " + std::string(kWriteReport));
  queue.AddUnanalysed();
  RunUntilStored(4);
  const std::string log = ReadFile(folder_ / "analyzer.log", 1000)->text;
  EXPECT_LT(log.find(others.id), log.find(many[0].id)) << log;
  EXPECT_THAT(store_.LoadReport(unknown), FailsWith(ENOENT)) << "nobody knows whose it is";
}

TEST_F(AnalysisQueueTest, StopsWithoutAReport) {
  const CrashLocation running = Crash(1), waiting = Crash(2);
  AnalysisQueue& queue = Make("echo > $0.started; exec sleep 1000");
  queue.Add(running, {}, {}, {});
  queue.Add(waiting, {}, {}, {});
  RunThrough({{[this] { return Exists("analyzer.started"); }}});
  queue.Stop();
  queue.Add(Crash(3), {}, {}, {});
  queue.Hold(false);
  EXPECT_EQ(stored_.size(), 0u);
  EXPECT_THAT(store_.LoadReport(running), FailsWith(ENOENT));
}

TEST_F(AnalysisQueueTest, DoesNothingWhereItIsSwitchedOff) {
  AnalysisQueue& queue = Make("echo > $0.started; " + std::string(kWriteReport), {.analyze = false});
  EXPECT_FALSE(queue.WantsMappedFiles());
  queue.Add(Crash(1), {}, {}, {});
  queue.AddUnanalysed();
  queue.Reconfigure({});
  queue.Add(Crash(2), {}, {}, {});
  RunUntilStored(1);
  EXPECT_EQ(stored_, std::set{fmt::format("{:016x}", 2)});
}

TEST_F(AnalysisQueueTest, BeginsLessWhileSomeDoNotDieAndNothingWhileManyDoNot) {
  AnalysisQueue& queue = Make(kWriteReport);
  std::vector<std::unique_ptr<testing::Child>> children;
  pid_t first = -1;  // which the queue reaps
  const auto leave = [&](std::size_t count) {
    while (undead_.count() < count) {
      const pid_t pid = ::fork();
      if (pid == 0)
        for (;;) ::pause();
      if (first < 0)
        first = pid;
      else
        children.push_back(std::make_unique<testing::Child>(pid));
      undead_.Add(pid);
    }
  };
  EXPECT_TRUE(queue.WantsMappedFiles());
  leave(UndeadChildren::kFew);
  EXPECT_FALSE(queue.WantsMappedFiles());
  queue.Add(Crash(1), {}, {}, *Open("/dev/null", O_RDONLY));
  std::chrono::steady_clock::time_point added;
  RunThrough({{[&] { return stored_.size() == 1; },
               [&] {
                 EXPECT_EQ(ReadFile(folder_ / "analyzer.arguments", 4096)->text.find("--mapped"),
                           std::string::npos);
                 leave(UndeadChildren::kMax);
                 queue.Add(Crash(2), {}, {}, {});
                 added = std::chrono::steady_clock::now();
               }},
              {[&] { return std::chrono::steady_clock::now() > added + 300ms; },
               [&] {
                 EXPECT_EQ(stored_.size(), 1U);
                 ::kill(first, SIGKILL);
               }},
              {[&] { return stored_.size() == 2; }}});
}

TEST_F(AnalysisQueueTest, ARuleCanSwitchItOnAndOff) {
  Config config{.analyze = false};
  config.rules = {{.analyze = true}};
  const CrashLocation wanted = Crash(1), unwanted = Crash(2), other = Crash(3);
  AnalysisQueue& queue = Make(kWriteReport, config);
  EXPECT_TRUE(queue.WantsMappedFiles());
  queue.Hold(true);
  queue.Add(unwanted, {}, {}, {}, {.analyze = false});
  queue.Add(other, {}, {}, {});
  queue.Add(wanted, {}, {}, {}, {.analyze = true, .hooks = false});
  queue.Reconfigure({.analyze = false});
  queue.Hold(false);
  const auto then = [&] {
    EXPECT_EQ(stored_, std::set{wanted.id}) << "it waited when the rule went";
    EXPECT_EQ(handling_.hooks, false);
    queue.Reconfigure({});
    queue.Add(unwanted, {}, {}, {}, {.analyze = false});
    queue.Add(other, {}, {}, {});
  };
  RunThrough({{[&] { return !stored_.empty(); }, then}, {[&] { return stored_.size() > 1; }}});
  EXPECT_EQ(stored_, (std::set{wanted.id, other.id}));
}

TEST_F(AnalysisQueueTest, ARuleSaysHowMuchOfTheEnvironmentIsKept) {
  Config config{.environment = EnvironmentKept::kAll};
  AnalysisQueue& queue = Make("echo \"$@\" > $0.arguments; " + std::string(kWriteReport), config);
  queue.Add(Crash(1), {}, {}, {}, {.environment = EnvironmentKept::kNone});
  const auto then = [&] {
    EXPECT_THAT(ReadFile(folder_ / "analyzer.arguments", 4096)->text, ::testing::HasSubstr("none"));
    queue.Add(Crash(2), {}, {}, {});
  };
  RunThrough({{[&] { return !stored_.empty(); }, then}, {[&] { return stored_.size() > 1; }}});
  EXPECT_THAT(ReadFile(folder_ / "analyzer.arguments", 4096)->text, ::testing::HasSubstr("all"));
}

// Traces.

/// A bag with this in it.
Fd BagWith(const Fd& file) {
  SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET);
  BagSender sender(std::move(bag.second));
  sender.PutTrace(file);
  sender.End();
  return std::move(bag.first);
}
Fd TraceBag(std::string_view core = "core") {
  const Fd file(::memfd_create("trace", MFD_CLOEXEC));
  EXPECT_THAT(WriteAll(file, core), Succeeds());
  return BagWith(file);
}

constexpr const char* kReportWithMemory =
    R"sh(printf '{"schema": 1, "id": "%s", "cause": {"kind": "unknown"}, "failure": "%s", "environment": ["TOKEN=1"],
    "registers": [{"name": "rax", "value": "0x1"}]}' $id "$(cat $core)" > $report)sh";

TEST_F(AnalysisQueueTest, ATraceIsAnalysedAndItsCoreIsNowhere) {
  const CrashLocation crash = Crash(1, 0, /*has_core=*/false);
  AnalysisQueue& queue = Make(kReportWithMemory);
  queue.AddTrace(crash, {}, {}, {}, TraceBag());
  EXPECT_EQ(queue.RoomForTraces(), AnalysisQueue::kTracesMax - 1);
  RunUntilStored(1);
  EXPECT_EQ(queue.RoomForTraces(), AnalysisQueue::kTracesMax);
  const auto report = store_.LoadReport(crash);
  ASSERT_THAT(report, Succeeds());
  EXPECT_EQ(report->failure, "core") << "as the analyzer read it";
  EXPECT_TRUE(report->registers.empty());
  EXPECT_TRUE(report->environment.empty());
  EXPECT_THAT(ReadFile(folder_ / "analyzer.arguments", 4096)->text,
              ::testing::HasSubstr("--environment=none"));
  EXPECT_THAT(store_.OpenFile(crash, kCoreFile), FailsWith(ENOENT));
}

TEST_F(AnalysisQueueTest, ATraceThatCannotBeAnalysedIsGoneToo) {
  const CrashLocation crash = Crash(1, 0, /*has_core=*/false);
  AnalysisQueue& queue = Make("exit 1");
  queue.AddTrace(crash, {}, {}, {}, TraceBag());
  RunUntilStored(1);
  EXPECT_EQ(queue.RoomForTraces(), AnalysisQueue::kTracesMax);
  EXPECT_EQ(store_.LoadReport(crash)->failure, "the analyzer ended with status 1");
}

TEST_F(AnalysisQueueTest, HasSoManyTracesAndNoMore) {
  AnalysisQueue& queue = Make(kWriteReport);
  queue.Hold(true);
  for (int i = 0; i < 20; ++i) queue.AddTrace(Crash(i, 0, /*has_core=*/false), {}, {}, {}, TraceBag());
  EXPECT_EQ(queue.RoomForTraces(), 0U);
  ASSERT_THAT(store_.Remove({"1970-01-01", fmt::format("{:016x}", 3)}), Succeeds());
  queue.Hold(false);
  RunUntilStored(AnalysisQueue::kTracesMax - 1);
  EXPECT_EQ(queue.RoomForTraces(), AnalysisQueue::kTracesMax) << "of one that was removed, too";
  queue.Hold(true);
  queue.AddTrace(Crash(30, 0, false), {}, {}, {}, TraceBag());
  Config config;
  config.analyze = false;
  queue.Reconfigure(config);
  EXPECT_EQ(queue.RoomForTraces(), 0U);
  queue.Reconfigure({});
  EXPECT_EQ(queue.RoomForTraces(), AnalysisQueue::kTracesMax);
}

TEST_F(AnalysisQueueTest, WhatIsNoTraceIsNotAnalysed) {
  AnalysisQueue& queue = Make(kWriteReport);
  queue.Hold(true);
  const CrashLocation crash = Crash(1, 0, /*has_core=*/false);
  queue.AddTrace(crash, {}, {}, {}, TraceBag(""));
  queue.AddTrace(crash, {}, {}, {}, TraceBag(std::string(AnalysisQueue::kTraceBytesMax + 1, 'x')));
  queue.AddTrace(crash, {}, {}, {}, BagWith(*Open("/etc/passwd", O_RDONLY)));  // of a disk
  queue.AddTrace(crash, {}, {}, {}, std::move(MakeSocketPair(SOCK_SEQPACKET)->first));
  queue.AddTrace(crash, {}, {}, {}, Fd());
  EXPECT_EQ(queue.RoomForTraces(), AnalysisQueue::kTracesMax);
}

}  // namespace
}  // namespace obit
