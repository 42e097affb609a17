#include "server/analysis_queue.h"

#include <chrono>
#include <set>

#include "base/test_support.h"
#include "base/text.h"
#include "server/fake_analyzer.h"
#include "server/test_support.h"

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
    queue_.emplace(loop_, store_, MakeFakeAnalyzer(folder_ / "analyzer", commands), config,
                   [this](const CrashLocation& crash, const Report& report) {
                     EXPECT_EQ(crash.id, report.id);
                     stored_.insert(crash.id);
                   });
    return *queue_;
  }
  /// A crash in the store, on a day since 1970.
  CrashLocation Crash(int number, int day = 0, bool has_core = true) {
    const std::string id = fmt::format("{:016x}", number);
    const IncomingCrash incoming = *store_.Begin(id);
    EXPECT_TRUE(WriteFileAtomically(incoming.dir, kRecordFile, fmt::format("\"id\": \"{}\"\n", id), 0600));
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
  std::optional<AnalysisQueue> queue_;
};

TEST_F(AnalysisQueueTest, StoresAReportForItsOwnerOnly) {
  const CrashLocation crash = Crash(1);
  Make(kWriteReport).Add(crash, {});
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
  Make("exit 1").Add(crash, {});
  RunUntilStored(1);
  EXPECT_EQ(store_.LoadReport(crash)->failure, "the analyzer ended with status 1");
}

TEST_F(AnalysisQueueTest, ForgetsACrashThatWasRemoved) {
  const CrashLocation before = Crash(1), meanwhile = Crash(2), last = Crash(3);
  AnalysisQueue& queue =
      Make("echo > $0.$id; while [ ! -e $0.go ]; do sleep 0.01; done; " + std::string(kWriteReport));
  ASSERT_TRUE(store_.Remove(before));
  queue.Add(before, {});
  queue.Add(meanwhile, {});
  queue.Add(last, {});
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
  for (int i = 1; i <= 3; ++i) queue.Add(Crash(i), {});
  RunThrough({{[this] { return Exists("analyzer.log"); }, [this] { LetGo(); }},
              {[this] { return stored_.size() == 3; }}});
  EXPECT_EQ(ReadFile(folder_ / "analyzer.log", 1000)->text, "begin\nend\nbegin\nend\nbegin\nend\n");
}

TEST_F(AnalysisQueueTest, WaitsWhileItIsHeldAndKeepsDescriptorsOfSome) {
  AnalysisQueue& queue = Make(kWriteReport);
  queue.Hold(true);
  std::vector<Fd> ends;  // which end when the file beside them is closed
  for (std::size_t i = 0; i <= AnalysisQueue::kHoldingMax; ++i) {
    EXPECT_EQ(queue.WantsMappedFiles(), i < AnalysisQueue::kHoldingMax) << "none has left the queue";
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
    ends.emplace_back(pipe[0]);
    std::vector<MappedFile> mapped;
    mapped.push_back({0x1000, Fd(pipe[1])});
    queue.Add(Crash(static_cast<int>(i) + 1), std::move(mapped));
  }
  char byte = 0;
  EXPECT_EQ(::read(ends.front().get(), &byte, 1), -1) << "still open";
  EXPECT_EQ(::read(ends.back().get(), &byte, 1), 0) << "there were enough";
  queue.Hold(false);
  RunUntilStored(AnalysisQueue::kHoldingMax + 1);
  EXPECT_TRUE(queue.WantsMappedFiles());
  EXPECT_EQ(::read(ends.front().get(), &byte, 1), 0);
}

TEST_F(AnalysisQueueTest, TakesWhatAServerBeforeItLeft) {
  const CrashLocation old = Crash(1, 1), second = Crash(2, 2), third = Crash(3, 3), newest = Crash(4, 4);
  const CrashLocation event = Crash(5, 4, false), analysed = Crash(6, 4);
  ASSERT_TRUE(store_.WriteReport(analysed, Report{.id = analysed.id}));
  AnalysisQueue& queue = Make("echo $id >> $0.log; " + std::string(kWriteReport));
  queue.Hold(true);
  queue.AddUnanalysed();
  const CrashLocation now = Crash(7, 4);
  queue.Add(now, {});
  queue.Hold(false);
  RunUntilStored(4);
  EXPECT_EQ(ReadFile(folder_ / "analyzer.log", 1000)->text,
            fmt::format("{}\n{}\n{}\n{}\n", now.id, newest.id, third.id, second.id));
  EXPECT_THAT(store_.LoadReport(old), FailsWith(ENOENT)) << "of too many days ago";
  EXPECT_THAT(store_.LoadReport(event), FailsWith(ENOENT));
}

TEST_F(AnalysisQueueTest, StopsWithoutAReport) {
  const CrashLocation running = Crash(1), waiting = Crash(2);
  AnalysisQueue& queue = Make("echo > $0.started; exec sleep 1000");
  queue.Add(running, {});
  queue.Add(waiting, {});
  RunThrough({{[this] { return Exists("analyzer.started"); }}});
  queue.Stop();
  queue.Add(Crash(3), {});
  queue.Hold(false);
  EXPECT_EQ(stored_.size(), 0u);
  EXPECT_THAT(store_.LoadReport(running), FailsWith(ENOENT));
}

TEST_F(AnalysisQueueTest, DoesNothingWhereItIsSwitchedOff) {
  AnalysisQueue& queue = Make("echo > $0.started; " + std::string(kWriteReport), {.analyze = false});
  EXPECT_FALSE(queue.WantsMappedFiles());
  queue.Add(Crash(1), {});
  queue.AddUnanalysed();
  queue.Reconfigure({});
  queue.Add(Crash(2), {});
  RunUntilStored(1);
  EXPECT_EQ(stored_, std::set{fmt::format("{:016x}", 2)});
}

}  // namespace
}  // namespace obit
