// What becomes of crashes when processes of the server die, stand still, or say nothing.

#include "server/test_server.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using testing::Dumping;
using testing::DumpNothing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kNoAnswer;
using testing::NoiseCore;
using ::testing::SizeIs;
using testing::Until;

class ServerDeathsTest : public testing::ServerTest {
 protected:
  /// A crash that is in the middle of its capture from here on.
  void CrashHalf() {
    Crash(Dumping(NoiseCore(16 << 20), {}, shared_));
    ASSERT_TRUE(Until([&] { return shared_->sent_part == 1 && HasPartOfACore(); }));
  }
  /// Inspectors hang where a process could have them wait.
  std::function<void()> Hanging() {
    return [this] {
      ++shared_->inspecting;
      for (;;) ::poll(nullptr, 0, -1);
    };
  }
  static void ShortLimits(ManagerLimits& limits) {
    limits.site = limits.risky = 200ms;
    limits.safe = 10s;
  }
};

TEST_F(ServerDeathsTest, AWorkerThatDiesIsReplacedAndLosesNoneOfTheQueue) {
  config_.slots = 1;
  Start();
  CrashHalf();
  const auto core = SmallCore(50'000);
  for (int i = 0; i < 3; ++i) Crash(Dumping(core));
  Signal("obitd-capture", SIGKILL);
  shared_->go_on = true;
  const auto records = AllRecords(4);
  EXPECT_EQ(std::ranges::count(records, CrashOutcome::kFull,
                               [](const CrashRecord& record) { return record.capture.outcome; }),
            3);
  const auto half = std::ranges::find(records, crashed_.at(0).pid(),
                                      [](const CrashRecord& record) { return record.process.pid; });
  ASSERT_NE(half, records.end());
  EXPECT_EQ(half->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_THAT(half->capture.reason, HasSubstr("the capture worker died of SIGKILL"));
  EXPECT_GT(half->capture.core_bytes, 0U);
  EXPECT_EQ(half->process.comm, "imgproxy");
  EXPECT_TRUE(HasSaid("the worker 0 died of SIGKILL"));
}

TEST_F(ServerDeathsTest, AManagerThatDiesLeavesARecordOfEachCrash) {
  config_.slots = 1;
  Start();
  CrashHalf();
  for (int i = 0; i < 3; ++i) Crash(DumpNothing);
  ASSERT_TRUE(Until([&] { return shared_->connected == 4; }));
  // Taken, and not only in the backlog: then the next manager would take it.
  ASSERT_TRUE(Until([&] { return Metric("obit_queue_length") == 3; }));
  const auto manager = Processes("obitd-manager");
  Signal("obitd-manager", SIGKILL);
  // Its successor comes after the supervisor has hung up for it: else the rest of the core might be faster.
  ASSERT_TRUE(Until([&] {
    const auto now = Processes("obitd-manager");
    return !now.empty() && now != manager;
  }));
  shared_->go_on = true;
  for (std::size_t i = 0; i < 4; ++i) (void)AnswerTo(i);  // let go
  const auto before = Records(4);
  for (const CrashRecord& record : before) {
    EXPECT_EQ(record.process.uid, ::geteuid());
    EXPECT_EQ(record.process.comm, "imgproxy");
    if (record.capture.core_bytes > 0)
      EXPECT_EQ(record.capture.outcome, CrashOutcome::kTruncated);
    else
      EXPECT_EQ(record.capture.reason, "the manager of obitd died while it had this crash");
  }
  EXPECT_EQ(std::ranges::count(before, CrashOutcome::kTruncated,
                               [](const CrashRecord& record) { return record.capture.outcome; }),
            1);
  Crash(Dumping(SmallCore(50'000)));
  const auto records = AllRecords(5);
  EXPECT_EQ(records.back().capture.outcome, CrashOutcome::kFull);
}

TEST_F(ServerDeathsTest, AClerkThatDiesLosesNothing) {
  Start();
  CrashHalf();
  Signal("obitd-clerk", SIGKILL);
  for (int i = 0; i < 10; ++i) Crash(Dumping(SmallCore(10'000)));
  shared_->go_on = true;
  for (std::size_t i = 0; i < crashed_.size(); ++i) EXPECT_EQ(AnswerTo(i), kCoredumpKernel | kCoredumpWait);
  for (const CrashRecord& record : AllRecords(11)) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull) << record.capture.reason;
    EXPECT_GT(record.number, 0U);
  }
}

TEST_F(ServerDeathsTest, AnInspectorThatIsStoppedIsReplacedAndItsCrashRecorded) {
  inspector_.before_risky = Hanging();
  Start();
  Crash(Dumping(SmallCore(10'000)));
  ASSERT_TRUE(Until([&] { return shared_->inspecting == 1 && Processes("obitd-inspect").size() == 4; }));
  Signal("obitd-inspect", SIGSTOP);
  const auto records = Records(1);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(records.at(0).process.comm, "imgproxy") << "it had told that much";
  EXPECT_THAT(records.at(0).process.cmdline, IsEmpty());
  EXPECT_TRUE(Until([&] { return Metric("obit_processes_replaced_total") == 4; }));
  EXPECT_THAT(Processes("obitd-inspect"), SizeIs(4));
  EXPECT_TRUE(Until([&] { return HasSaid("the inspector 0 was stopped: killed"); }));
  Stop();
  EXPECT_FALSE(HasSaid("died of")) << "it was said";
}

TEST_F(ServerDeathsTest, AnInspectorThatSaysNothingMoreIsNotWaitedFor) {
  inspector_.before_risky = Hanging();
  limits_ = ShortLimits;
  Start();
  for (std::size_t i = 1; i <= 3; ++i) {
    Crash(Dumping(SmallCore(10'000)));
    Records(i);
  }
  for (const CrashRecord& record : Records(3)) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull);
    EXPECT_EQ(record.process.comm, "imgproxy");
    EXPECT_EQ(record.process.uid, ::geteuid());
    EXPECT_THAT(record.process.cmdline, IsEmpty());
    EXPECT_LT(record.capture.held_seconds, 5);
  }
  // After two that it cost, its user is asked about with care.
  EXPECT_EQ(shared_->inspecting, 2);
  EXPECT_TRUE(Until([&] { return Metric("obit_processes_replaced_total") == 2; }));
  Stop();
  EXPECT_TRUE(HasSaid("does not answer: sending SIGKILL"));
  EXPECT_FALSE(HasSaid("died of")) << "who kills says so, and nobody says it again";
}

TEST_F(ServerDeathsTest, ACrashWhoseManagerDiesBeforeItAsksWhoItIsHasARecord) {
  user_of_ = [this](pid_t) {
    if (shared_->inspecting++ == 0) ::raise(SIGKILL);
    return ::geteuid();
  };
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = AllRecords(1);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFailed);
  EXPECT_EQ(records.at(0).capture.reason, "the manager of obitd died while it had this crash");
  EXPECT_EQ(AnswerTo(0), kNoAnswer);
}

TEST_F(ServerDeathsTest, WhereTheSiteCannotBeToldSafeFactsDo) {
  inspector_.before_place = Hanging();
  limits_ = ShortLimits;
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = Records(1);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(records.at(0).process.comm, "imgproxy");
  EXPECT_THAT(records.at(0).process.cmdline, IsEmpty());
  EXPECT_TRUE(Until([&] { return Metric("obit_processes_replaced_total") == 1; }));
  Stop();
  EXPECT_EQ(Metric("obit_processes_replaced_total"), 1) << "who told the safe facts has done all";
}

TEST_F(ServerDeathsTest, APumpThatIsStoppedLetsItsPipeGo) {
  config_.slots = 1;
  Start();
  const auto core = NoiseCore(16 << 20);
  CrashByPipe([&, this](Fd& pipe) {
    (void)WriteAll(pipe, std::span(core).first(core.size() / 2));
    ++shared_->sent_part;
    while (!shared_->go_on) ::sched_yield();
    return WriteAll(pipe, std::span(core).subspan(core.size() / 2)) ? 0 : kNoAnswer;
  });
  ASSERT_TRUE(Until([&] { return shared_->sent_part == 1 && HasPartOfACore(); }));
  Signal("obitd-pump", SIGSTOP);
  shared_->go_on = true;
  EXPECT_EQ(AnswerTo(0), kNoAnswer) << "nobody reads the pipe";
  CrashByPipe([](Fd& pipe) { return WriteAll(pipe, SmallCore(10'000)) ? 0 : kNoAnswer; });
  const auto records = AllRecords(2);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kTruncated) << records.at(0).capture.reason;
  EXPECT_EQ(records.at(1).capture.outcome, CrashOutcome::kFull) << "the next one has its place";
}

TEST_F(ServerDeathsTest, WhatAKilledServerHadIsRecordedByTheNext) {
  config_.slots = 1;
  Start();
  CrashHalf();
  Crash(DumpNothing);
  ASSERT_TRUE(Until([&] { return Metric("obit_queue_length") == 1; }));
  Kill();
  shared_->go_on = true;
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_THAT(AnswerTo(i), AnyOf(kNoAnswer, kCoredumpKernel | kCoredumpWait));
  EXPECT_EQ(RecordsThere(), 0U);
  Start();
  const auto records = AllRecords(2);
  for (const CrashRecord& record : records) {
    EXPECT_EQ(record.process.uid, ::geteuid());
    EXPECT_EQ(record.process.comm, "imgproxy");
    EXPECT_GT(record.number, 0U);
  }
  EXPECT_EQ(std::ranges::count(records, CrashOutcome::kTruncated,
                               [](const CrashRecord& record) { return record.capture.outcome; }),
            1);
}

}  // namespace
}  // namespace obit
