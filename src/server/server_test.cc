// How crashes come to the server, and what becomes of them.

#include <ranges>
#include <set>
#include <thread>

#include <sys/resource.h>

#include "jobs/fake_analyzer.h"
#include "server/test_server.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::Dumping;
using testing::DumpNothing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kNoAnswer;
using testing::NoiseCore;
using ::testing::SizeIs;
using testing::Until;

class ServerTest : public testing::ServerTest {};

/// A kernel that sends a core without a word ("@", and the pipe).
testing::Dump Sending(std::vector<std::byte> core) {
  return [core = std::move(core)](Fd& server) { return SendCore(server, core) ? 0 : kNoAnswer; };
}
testing::Dump Piping(std::vector<std::byte> core) {
  return [core = std::move(core)](Fd& pipe) { return WriteAll(pipe, core) ? 0 : kNoAnswer; };
}

TEST_F(ServerTest, RecordsOneCrashOfEachTransport) {
  Start();
  const auto core = SmallCore(100'000);
  Crash(Dumping(core));
  Crash(Sending(core));
  pipe_patience_ = std::chrono::minutes(1);
  CrashByPipe(Piping(core));
  std::set<std::string> transports;
  for (const CrashRecord& record : AllRecords(3)) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull) << record.capture.reason;
    EXPECT_EQ(record.capture.core_bytes, core.size());
    EXPECT_EQ(record.process.comm, "imgproxy");
    EXPECT_THAT(record.process.cmdline, ::testing::ElementsAre("imgproxy", "--all"));
    EXPECT_EQ(record.process.uid, ::geteuid());
    transports.insert(record.capture.transport);
  }
  EXPECT_EQ(transports, (std::set<std::string>{"pipe", "socket", "socket-request"}));
  EXPECT_EQ(AnswerTo(0), kCoredumpKernel | kCoredumpWait);
  EXPECT_EQ(shared_->answered, 1);
  EXPECT_EQ(Metric("obit_crashes_total"), 3);
  EXPECT_EQ(Metric("obit_processes_replaced_total"), 0);
}

/// Nothing tells when others on the machine have closed something, and no crash is open whose end could.
TEST_F(ServerTest, AcceptsAgainAfterAShortageOfDescriptors) {
  Start();
  Crash(Dumping(SmallCore(10'000)));
  (void)Records(1);
  const pid_t manager = Processes("obitd-manager").at(0);
  rlimit before{}, none{};
  ASSERT_EQ(::prlimit(manager, RLIMIT_NOFILE, nullptr, &before), 0);
  none.rlim_max = before.rlim_max;
  ASSERT_EQ(::prlimit(manager, RLIMIT_NOFILE, &none, nullptr), 0);
  Crash(Dumping(SmallCore(10'000)));
  EXPECT_TRUE(Until([&] { return HasSaid("others wait"); }));
  ASSERT_EQ(::prlimit(manager, RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_EQ(AllRecords(2).at(1).capture.outcome, CrashOutcome::kFull);
}

TEST_F(ServerTest, TakesTheLongerRequestOfANewerKernel) {
  Start();
  Crash(Dumping(SmallCore(10'000), {.size = 32, .size_ack = 24, .mask = 0x7f}));
  EXPECT_EQ(AllRecords(1).at(0).capture.outcome, CrashOutcome::kFull);
}

TEST_F(ServerTest, KeepsOnlyTheEventOfAProcessThatWantsNoCore) {
  inspector_.facts.core_limit = 0;
  Start();
  Crash(DumpNothing);
  const auto records = AllRecords(1);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kEvent);
  EXPECT_EQ(records.at(0).capture.detail, Detail::kEvent);
  EXPECT_EQ(records.at(0).files.core, "");
  EXPECT_EQ(AnswerTo(0), kCoredumpUserspace | kCoredumpWait);
}

TEST_F(ServerTest, AnEventOfEachTransportHasATraceAndNoCore) {
  inspector_.facts.core_limit = 0;
  inspector_.has_memory = true;
  config_.slots = 4;
  analyzer_ = testing::MakeFakeAnalyzer(path_ + "/analyzer", testing::kWriteReport);
  Start();
  const auto core = SmallCore(100'000);
  const auto has_report = [&](const CrashRecord& record) {
    const Store store = *Store::Open(path_ + "/store");
    return store.LoadReport({FormatDay(record.time), record.id}).has_value();
  };
  // Before workers and the clerk are ready there are no traces.
  std::size_t others = 0;
  for (;; ++others) {
    ASSERT_LT(others, 1000U) << "no event has a trace";
    Crash(Dumping(core));
    if (AnswerTo(others) == static_cast<int>(kCoredumpKernel | kCoredumpWait)) break;
  }
  EXPECT_TRUE(Until([&] { return has_report(Records(others + 1).at(others)); }));
  Crash(Sending(core));
  EXPECT_TRUE(Until([&] { return has_report(Records(others + 2).at(others + 1)); }));
  pipe_patience_ = std::chrono::minutes(1);
  CrashByPipe(Piping(core));
  EXPECT_TRUE(Until([&] { return has_report(Records(others + 3).at(others + 2)); }));
  for (const CrashRecord& record : AllRecords(others + 3) | std::views::drop(others)) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kEvent);
    EXPECT_EQ(record.capture.reason, "the process has RLIMIT_CORE 0: it asked for no core");
    const auto files = ListDirectory(
        *Open(path_ + "/store/crashes/" + FormatDay(record.time) + "/" + record.id, O_RDONLY | O_DIRECTORY));
    EXPECT_THAT(*files, ::testing::UnorderedElementsAre(kRecordFile, kCommitFile, kReportFile));
  }
}

TEST_F(ServerTest, RejectsWhenThePolicySaysSo) {
  inspector_.facts.core_limit = 0;
  config_.no_core_limit = Detail::kReject;
  Start();
  Crash(DumpNothing);
  EXPECT_EQ(AnswerTo(0), kCoredumpReject);
  EXPECT_THAT(AllRecords(0), IsEmpty());
  EXPECT_EQ(Metric("obit_crashes_rejected_total"), 1);
}

TEST_F(ServerTest, CountsWhatACrashLoopRepeats) {
  config_.loop_cores = 2;
  config_.loop_events = 0;
  Start();
  const auto core = SmallCore(10'000);
  for (int i = 0; i < 4; ++i) Crash(Dumping(core));
  std::multiset<int> answers;
  for (std::size_t i = 0; i < 4; ++i) answers.insert(AnswerTo(i));
  constexpr int kDumped = kCoredumpKernel | kCoredumpWait;
  EXPECT_EQ(answers, (std::multiset<int>{kCoredumpReject, kCoredumpReject, kDumped, kDumped}));
  Crash([](Fd& server) {  // "@" knows no answer: it is closed
    (void)WriteAll(server, std::string_view("\177ELF and so on"));
    AwaitRelease(server);
    return 0;
  });
  EXPECT_EQ(AnswerTo(4), 0);
  const auto records = AllRecords(2);
  EXPECT_EQ(Metric("obit_crashes_repeated_total"), 3);
  const Store store = *Store::Open(path_ + "/store");
  std::multiset<std::uint64_t> repeats;
  for (const CrashRecord& record : records) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull);
    const auto counted = store.LoadRepeats({FormatDay(record.time), record.id});
    repeats.insert(counted ? counted->crashes : 0);
  }
  EXPECT_EQ(repeats, (std::multiset<std::uint64_t>{0, 3})) << "beside the last one that was kept";
}

TEST_F(ServerTest, ARepeatThatHangsUpIsCountedOnce) {
  config_.loop_cores = 1;
  config_.loop_events = 0;
  Start();
  Crash(Dumping(SmallCore(10'000)));
  EXPECT_EQ(AnswerTo(0), kCoredumpKernel | kCoredumpWait);
  Crash([](Fd& server) {  // no mark follows the answer
    (void)WriteAll(server, EncodeCoredumpRequest({}));
    std::array<std::byte, kCoredumpAckMin> answer{};
    return ReadFull(server, answer) ? 0 : kNoAnswer;
  });
  EXPECT_EQ(AnswerTo(1), 0);
  AllRecords(1);
  EXPECT_EQ(Metric("obit_crashes_repeated_total"), 1);
}

TEST_F(ServerTest, RecordsWhatIsKnownOfAProcessThatWasGone) {
  inspector_.gone = true;
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = AllRecords(1);
  EXPECT_EQ(records.at(0).process.pid, crashed_.at(0).pid());
  EXPECT_EQ(records.at(0).process.comm, "");
  EXPECT_EQ(records.at(0).process.privileged, true) << "nothing tells whose it was";
  EXPECT_EQ(records.at(0).signal.number, 11);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFull);
}

TEST_F(ServerTest, RecordsACrashOfWhichOnlyThePidIsKnown) {
  Start();
  CrashByPipe(Piping(SmallCore(10'000)), false);
  const auto records = Records(1);
  EXPECT_EQ(records.at(0).process.privileged, true);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(records.at(0).signal.number, 6);
  EXPECT_LT(records.at(0).capture.held_seconds, 5) << "no inspector is asked, and none is waited for";
  Stop();
  EXPECT_EQ(Metric("obit_processes_replaced_total"), 0);
}

TEST_F(ServerTest, RecordsAKernelThatHangsUpWithinItsRequest) {
  Start();
  for (std::size_t n = 0; n < 16; ++n)
    Crash([n, wire = EncodeCoredumpRequest({})](Fd& server) {
      (void)WriteAll(server, std::span(wire).first(n));
      return 0;
    });
  for (const CrashRecord& record : AllRecords(16))
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFailed) << record.capture.reason;
}

TEST_F(ServerTest, AnInspectorWhoseCrashHasEndedMeanwhileIsFreeAgain) {
  inspector_.before_place = [this] {
    while (!shared_->go_on) ::sched_yield();
  };
  inspectors_ = 1;
  Start();
  Crash([](Fd&) { return 0; });
  EXPECT_EQ(AnswerTo(0), 0);
  ASSERT_TRUE(Until([&] { return Metric("obit_crashes_total") == 1; }));
  shared_->go_on = true;
  Crash(Dumping(SmallCore(10'000)));
  const auto records = AllRecords(2);
  EXPECT_THAT(records.back().process.cmdline, SizeIs(2));
  EXPECT_LT(records.back().capture.held_seconds, 5) << "less than an inspector has for an answer";
}

/// Its pid may be another's by the time an inspector looks.
TEST_F(ServerTest, ASiteCountsOnlyIfTheProcessWasThereAllTheWhile) {
  config_.loop_cores = 1;
  config_.loop_events = 0;
  inspector_.before_place = [this] {
    while (!shared_->go_on) ::sched_yield();
  };
  shared_->go_on = true;
  Start();
  const auto dump = Dumping(SmallCore(10'000));
  Crash(dump);
  (void)Records(1);
  shared_->go_on = false;
  Crash([dump](Fd& server) {
    if (::fork() == 0) ::_exit(dump(server));
    return 0;
  });
  EXPECT_EQ(AnswerTo(1), 0);
  shared_->go_on = true;
  EXPECT_EQ(AllRecords(2).back().capture.outcome, CrashOutcome::kFull);
}

TEST_F(ServerTest, RecordsARequestThatIsGarbage) {
  Start();
  Crash([](Fd& server) {
    (void)WriteAll(server, std::string_view("GET / HTTP/1.0\r\n\r\n"));
    AwaitRelease(server);
    return 0;
  });
  const auto records = AllRecords(1);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFailed);
  EXPECT_THAT(records.at(0).capture.reason, HasSubstr("coredump request"));
}

TEST_F(ServerTest, QueuesMoreCrashesThanItHasSlots) {
  Start();
  const auto core = SmallCore(50'000);
  for (int i = 0; i < 40; ++i) Crash(Dumping(core));
  std::set<std::uint64_t> numbers;
  for (const CrashRecord& record : AllRecords(40)) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull) << record.capture.reason;
    numbers.insert(record.number);
  }
  EXPECT_THAT(numbers, SizeIs(40)) << "each its own";
}

/// As from a file system of the user's own: the next piece always comes before a deadline.
TEST_F(ServerTest, ASlowCoreDoesNotHoldUpOthers) {
  config_.slots = 1;
  limits_ = [](ManagerLimits& limits) {
    limits.site = limits.safe = limits.risky = 10s;
    limits.queue = limits.look = 100ms;
    limits.held = 500ms;
  };
  Start();
  Crash([core = NoiseCore(16 << 20), this](Fd& server) {
    constexpr std::size_t kPiece = 1024;
    for (std::size_t sent = 0; sent < core.size(); sent += kPiece, ++shared_->sent_part) {
      if (!WriteAll(server, std::span(core).subspan(sent, std::min(kPiece, core.size() - sent)))) return 0;
      std::this_thread::sleep_for(20ms);
    }
    return kNoAnswer;
  });
  ASSERT_TRUE(Until([&] { return shared_->sent_part > 0; }));
  Crash(Dumping(SmallCore(10'000)));
  EXPECT_EQ(AnswerTo(0), 0);
  const auto records = AllRecords(2);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kTruncated) << records.at(0).capture.reason;
  EXPECT_EQ(records.at(1).capture.outcome, CrashOutcome::kFull) << records.at(1).capture.reason;
  EXPECT_TRUE(HasSaid("the capture is slow"));
}

TEST_F(ServerTest, RefusesAPeerThatIsNotTheKernel) {
  is_kernel_ = false;
  Start();
  Crash([](Fd& server) {
    (void)WriteAll(server, std::string_view("ELF"));
    AwaitRelease(server);
    return 0;
  });
  EXPECT_EQ(AnswerTo(0), 0) << "closed";
  EXPECT_TRUE(Until([&] { return Metric("obit_refused_peers_total") == 1; }));
  EXPECT_THAT(AllRecords(0), IsEmpty());
}

TEST_F(ServerTest, RootMayLookWhoListens) {
  is_kernel_ = false;
  Start();
  for (const auto& [name, type] :
       {std::pair{"/coredump.socket", SOCK_STREAM}, {"/pipe.socket", SOCK_SEQPACKET}})
    for (int i = 0; i < 3; ++i) ASSERT_THAT(ConnectUnix(path_ + name, type), testing::Succeeds());  // closed
  // Who says something is no visitor: those that were before it have been seen by then.
  Crash([](Fd& server) {
    (void)WriteAll(server, std::string_view("ELF"));
    AwaitRelease(server);
    return 0;
  });
  EXPECT_TRUE(Until([&] { return Metric("obit_refused_peers_total") > 0; }));
  Stop();
  EXPECT_EQ(Metric("obit_refused_peers_total"), 1);
}

TEST_F(ServerTest, ACrashOfALimitedSizeEndsThere) {
  inspector_.facts.core_limit = 8192;
  Start();
  Crash(Dumping(SmallCore(1 << 20)));
  const auto records = AllRecords(1);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(records.at(0).capture.reason, "RLIMIT_CORE is 8192 bytes");
  EXPECT_EQ(records.at(0).capture.core_bytes, 8192U);
}

TEST_F(ServerTest, ReleasesAProcessWhoseKernelSideStalls) {
  config_.progress_timeout = 1s;
  Start();
  Crash(DumpNothing);
  const auto records = AllRecords(1);
  EXPECT_EQ(records.at(0).capture.outcome, CrashOutcome::kFailed);
  EXPECT_THAT(records.at(0).capture.reason, HasSubstr("no byte came for 1 s"));
}

TEST_F(ServerTest, TheFirstRuleThatMatchesWins) {
  config_.rules = {{.title = "others", .name = {"other"}, .detail = Detail::kReject},
                   {.from = "obit.toml:4",
                    .exe = {"/usr/bin/img*"},
                    .unit = {"imgproxy.service"},
                    .users = {{"", ::geteuid()}},
                    .detail = Detail::kEvent,
                    .environment = EnvironmentKept::kNone,
                    .retention = RetentionClass::kKeep},
                   {.detail = Detail::kReject}};
  inspector_.facts.uid = ::geteuid();
  Start();
  Crash(DumpNothing);
  const CrashRecord record = AllRecords(1).at(0);
  EXPECT_EQ(record.capture.outcome, CrashOutcome::kEvent);
  EXPECT_EQ(record.capture.rule, "obit.toml:4");
  EXPECT_EQ(record.capture.handling.environment, EnvironmentKept::kNone);
  EXPECT_EQ(record.capture.handling.retention, RetentionClass::kKeep);
  EXPECT_EQ(record.capture.root_only, false);
  EXPECT_THAT(record.capture.reason, HasSubstr("a rule of the configuration"));
  EXPECT_EQ(AnswerTo(0), kCoredumpUserspace | kCoredumpWait);
}

TEST_F(ServerTest, RulesChangeWithTheConfiguration) {
  config_.rules = {{.title = "minimal", .detail = Detail::kEvent}};
  Start();
  Crash(DumpNothing);
  EXPECT_EQ(Records(1).at(0).capture.rule, "minimal");
  // The number of the one that won before is now that of one that does not match.
  config_.rules = {{.name = {"other"}, .detail = Detail::kEvent},
                   {.name = {"img*"}, .detail = Detail::kReject}};
  Configure(config_);
  // Inspectors are told when they are asked next.
  ASSERT_TRUE(Until([&] {
    Crash(DumpNothing);
    return Metric("obit_crashes_rejected_total") > 0;
  }));
}

}  // namespace
}  // namespace obit
