#include "jobs/hook_queue.h"

#include <csignal>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "base/test_support.h"
#include "base/text.h"
#include "crash/record_json.h"
#include "process/test_support.h"
#include "store/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

class HookQueueTest : public testing::LoopTest {
 protected:
  HookQueueTest() { EXPECT_EQ(::mkdir((folder_ / "hooks").c_str(), 0755), 0); }

  void Put(const std::string& name, const std::string& commands) {
    const Fd file = *Open(folder_ / ("hooks/" + name), O_WRONLY | O_CREAT | O_TRUNC, 0700);
    EXPECT_TRUE(WriteAll(file, "#!/bin/sh\ncd " + folder_.path() + "\n" + commands + "\n"));
  }
  HookQueue& Make(std::chrono::seconds timeout = 60s) {
    Config config;
    config.hooks = folder_ / "hooks";
    config.hook_timeout = timeout;
    return queue_.emplace(loop_, store_, undead_, config, [] {});
  }
  CrashLocation Crash(int number, std::optional<std::uint64_t> core_limit = std::nullopt,
                      uid_t uid = ::geteuid()) {
    CrashRecord record = testing::SampleRecord();
    record.id = fmt::format("{:016x}", number);
    record.process.core_limit = core_limit;
    record.process.uid = uid;
    return testing::CommitCrash(store_, record);
  }
  void RunUntilIdle() {
    RunThrough({{.reached = [this] { return !queue_->busy(); }}});
  }
  std::string TextOf(const std::string& name) {
    const auto file = ReadFile(folder_ / name, 1 << 20);
    return file ? file->text : "";
  }

  TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
  UndeadChildren undead_{loop_};
  std::optional<HookQueue> queue_;
};

TEST_F(HookQueueTest, TellsEachHookOfEachEvent) {
  Put("10-first", "echo first $# $1 $2 $3 >> told; cat > first.json");
  Put("20-second.sh", "echo second $1 >> told; cat > second.json");
  const CrashLocation crash = Crash(0x2a);
  ASSERT_TRUE(store_.WriteReport(crash, {.id = crash.id, .failure = "no memory"}, {}));
  HookQueue& queue = Make();
  queue.Add(HookEvent::kCrash, crash, {});
  queue.Add(HookEvent::kReport, crash, {});
  RunUntilIdle();
  EXPECT_EQ(TextOf("told"), fmt::format("first 3 crash 000000000000002a {0}\nsecond crash\n"
                                        "first 3 report 000000000000002a {0}\nsecond report\n",
                                        store_.PathOf(crash)));
  EXPECT_EQ(TextOf("first.json"), TextOf("second.json")) << "each reads it from its beginning";
  const auto told = nlohmann::json::parse(TextOf("second.json"));
  EXPECT_EQ(told["record"]["id"], crash.id);
  EXPECT_EQ(told["report"]["failure"], "no memory");
  EXPECT_EQ(queue.counters().runs, 4u);
  EXPECT_EQ(queue.counters().failures, 0u);
}

TEST_F(HookQueueTest, ACrashHasNoReportYet) {
  Put("10", "cat > told.json");
  const CrashLocation crash = Crash(1);
  ASSERT_TRUE(store_.WriteReport(crash, {.id = crash.id}, {}));
  Make().Add(HookEvent::kCrash, crash, {});
  RunUntilIdle();
  EXPECT_FALSE(nlohmann::json::parse(TextOf("told.json")).contains("report"));
}

TEST_F(HookQueueTest, HaveAPathAndNothingElseOfTheServer) {
  Put("10", "env > told; ls -l /proc/$$/fd >> told");
  ::setenv("SECRET", "x", 1);
  const Fd own = *Open(folder_ / "own", O_RDWR | O_CREAT, 0600);
  Make().Add(HookEvent::kCrash, Crash(1), {});
  RunUntilIdle();
  EXPECT_THAT(TextOf("told"), HasSubstr("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  EXPECT_THAT(TextOf("told"), ::testing::Not(HasSubstr("SECRET")));
  EXPECT_THAT(TextOf("told"), ::testing::Not(HasSubstr("/own")));
}

TEST_F(HookQueueTest, AHookThatFailsDoesNotStopTheOthers) {
  Put("10", "echo a; echo no server >&2; exit 3");
  Put("20", "kill -TERM $$");
  Put("30", "echo told > told");
  const Fd broken = *Open(folder_ / "hooks/40", O_WRONLY | O_CREAT, 0700);
  EXPECT_TRUE(WriteAll(broken, std::string_view("#!/nothing\n")));
  Make();
  ::testing::internal::CaptureStderr();
  queue_->Add(HookEvent::kCrash, Crash(1), {});
  RunUntilIdle();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(TextOf("told"), "told\n");
  EXPECT_EQ(queue_->counters().runs, 4u);
  EXPECT_EQ(queue_->counters().failures, 3u);
  EXPECT_THAT(log, HasSubstr("hooks/10 of crash 0000000000000001 ended with status 3: no server"));
  EXPECT_THAT(log, HasSubstr("hooks/20 of crash 0000000000000001 was killed by SIGTERM"));
  EXPECT_THAT(log, HasSubstr("hooks/40 of crash 0000000000000001 did not begin: "));
}

TEST_F(HookQueueTest, AHookThatHangsIsKilledWithItsChildren) {
  Put("10", "sleep 1000 & echo $! > pid; wait");
  Put("20", "sleep 1000 & echo $! > left");  // it ends, and leaves a child behind
  Make(1s);
  ::testing::internal::CaptureStderr();
  queue_->Add(HookEvent::kCrash, Crash(1), {});
  RunUntilIdle();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("did not end within 1 s"));
  EXPECT_EQ(queue_->counters().failures, 1u);
  for (const char* file : {"pid", "left"}) {
    const auto pid = static_cast<pid_t>(ParseUnsigned(Trim(TextOf(file))).value_or(0));
    ASSERT_GT(pid, 0) << file;
    // Whoever inherits it reaps it, in time.
    const auto dead = [&] {
      const auto status = ReadFile(fmt::format("/proc/{}/stat", pid), 4096);
      return !status || status->text.find(") Z ") != std::string::npos;
    };
    for (int i = 0; i < 2000 && !dead(); ++i) ::usleep(1000);
    EXPECT_TRUE(dead()) << file;
  }
}

TEST_F(HookQueueTest, CapturesGoFirst) {
  Put("10", "echo told > told");
  HookQueue& queue = Make();
  queue.Hold(true);
  queue.Add(HookEvent::kCrash, Crash(1), {});
  EXPECT_EQ(queue.counters().runs, 0u);
  queue.Hold(false);
  EXPECT_EQ(queue.counters().runs, 1u);
  RunUntilIdle();
}

TEST_F(HookQueueTest, TooManyEventsAreDropped) {
  Put("10", "echo told >> told");
  HookQueue& queue = Make();
  queue.Hold(true);
  const CrashLocation gone{"2026-01-01", "00000000000000ff"};
  ::testing::internal::CaptureStderr();
  for (std::size_t i = 0; i < HookQueue::kWaitingMax + 5; ++i) queue.Add(HookEvent::kCrash, gone, {});
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("slower than crashes"));
  EXPECT_EQ(queue.counters().dropped, 5u);
  queue.Hold(false);
  EXPECT_FALSE(queue.busy()) << "nobody needs to be told of a crash that is gone";
  EXPECT_EQ(queue.counters().runs, 0u);
}

TEST_F(HookQueueTest, UsersTakeTurns) {
  Put("10", "echo $2 >> told");
  HookQueue& queue = Make();
  queue.Hold(true);
  for (int i = 1; i <= 3; ++i) queue.Add(HookEvent::kCrash, Crash(i), 1000);
  queue.Add(HookEvent::kCrash, Crash(4), 1001);
  queue.Hold(false);
  RunUntilIdle();
  EXPECT_EQ(TextOf("told"), fmt::format("{:016x}\n{:016x}\n{:016x}\n{:016x}\n", 1, 4, 2, 3));
}

TEST_F(HookQueueTest, AreNotToldOfTheirOwnCrashes) {
  Put("10", "echo $2 >> told");
  HookQueue& queue = Make();
  queue.Add(HookEvent::kCrash, Crash(1, kHookCoreLimit), {});
  queue.Add(HookEvent::kCrash, Crash(2, 0), {});
  queue.Add(HookEvent::kCrash, Crash(3, kHookCoreLimit, ::geteuid() + 1), {});
  RunUntilIdle();
  EXPECT_EQ(TextOf("told"), "0000000000000002\n0000000000000003\n") << "that of a user who has their limit";
}

TEST_F(HookQueueTest, StopKillsWhatRuns) {
  Put("10", "echo $$ > pid.new; mv pid.new pid; exec sleep 1000");
  HookQueue& queue = Make();
  queue.Add(HookEvent::kCrash, Crash(1), {});
  queue.Add(HookEvent::kReport, Crash(2), {});
  RunThrough({{.reached = [this] { return !TextOf("pid").empty(); }}});
  const auto pid = static_cast<pid_t>(*ParseUnsigned(Trim(TextOf("pid"))));
  EXPECT_EQ(::kill(pid, 0), 0);
  queue.Stop();
  EXPECT_FALSE(queue.busy());
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(queue.counters().dropped, 2u);
}

TEST_F(HookQueueTest, NoFolderNoHooks) {
  Put("10", "echo told > told");
  HookQueue& queue = Make();
  queue.Reconfigure({.hooks = ""});
  queue.Add(HookEvent::kCrash, Crash(1), {});
  queue.Reconfigure({.hooks = folder_ / "nothing"});
  queue.Add(HookEvent::kCrash, Crash(2), {});
  EXPECT_FALSE(queue.busy());
  EXPECT_EQ(TextOf("told"), "");
}

}  // namespace
}  // namespace obit
