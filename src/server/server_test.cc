#include "server/server.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "capture/capture.h"
#include "capture/fake_kernel.h"
#include "crash/record_json.h"
#include "kernel/pipe_message.h"
#include "server/fake_analyzer.h"
#include "store/core_reader.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::kWriteReport;
using testing::MakeFakeAnalyzer;

/// Believes what the test says of a peer: no test can make the real kernel call a live process crashed.
class FakeInspector final : public PeerInspector {
 public:
  FakeInspector() : crashed_(::fork()) {
    if (crashed_ == 0)
      for (;;) ::pause();
  }
  FakeInspector(FakeInspector&&) = delete;
  ~FakeInspector() override {
    ::kill(crashed_, SIGKILL);
    ::waitpid(crashed_, nullptr, 0);
  }
  Result<Peer> Identify(const Fd&) override {
    if (!is_kernel) return Refuse(EPERM, "process is not dumping core");
    return Peer{*OpenPidfd(crashed_), info, info.pid};
  }
  Result<Peer> IdentifyPiped(Fd pidfd, pid_t pid) override {
    if (!is_kernel) return Refuse(EPERM, "process is not dumping core");
    info.pid = pid;
    return Peer{std::move(pidfd), info, pid};
  }
  Result<ProcessFacts> Inspect(const Peer&) override {
    if (gone) return Refuse(ESRCH, "gone");
    return facts;
  }
  Result<CrashPlace> PlaceOf(const Peer&) override {
    if (!place) return Refuse(EACCES, "no right to look");
    return *place;
  }
  Result<Executable> Program(const Peer&) override {
    return Executable{OBIT_TRY(Open("/proc/self/exe", O_RDONLY)), true};
  }
  Result<ProcessMemory> Memory(const Peer&) override { return Refuse(EPERM, "no right to its memory"); }
  Result<std::vector<MappedFile>> MappedFiles(const Peer&) override {
    std::vector<MappedFile> files;
    files.push_back({0x400000, *Open("/proc/self/exe", O_PATH)});
    return files;
  }

  Result<Activity> ActivityOf(const Peer&) override { return Activity{++used_ticks_}; }

  [[nodiscard]] pid_t crashed() const { return crashed_; }

  bool is_kernel = true, gone = false;
  PidfdInfo info{.pid = 4711, .coredump_known = true, .coredumped = true, .dump_mode = DumpMode::kUser};
  ProcessFacts facts{.pid = 4711, .comm = "crashed", .uid = 0, .core_limit = UINT64_MAX, .signal = 11};
  std::optional<CrashPlace> place;

 private:
  pid_t crashed_;  // the process behind every connection
  std::uint64_t used_ticks_ = 0;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    std::string name = "/dev/shm/obit-server-test.XXXXXX";
    path_ = ::mkdtemp(name.data());
    ::signal(SIGPIPE, SIG_IGN);
  }
  ~ServerTest() override {
    server_.reset();
    std::filesystem::remove_all(path_);
  }

  void Start(Config config = {}) {
    auto coredump = ListenUnix(Socket(), SOCK_STREAM, 64);
    auto pipe = ListenUnix(path_ + "/pipe.socket", SOCK_SEQPACKET, 64);
    ASSERT_TRUE(coredump && pipe);
    auto server = Server::Create(loop_, *Store::Create(path_ + "/store"),
                                 {std::move(*coredump), std::move(*pipe)}, config, inspector_, analyzer_);
    ASSERT_TRUE(server) << server.error().what;
    server_ = std::move(*server);
  }
  [[nodiscard]] std::string Socket() const { return path_ + "/coredump.socket"; }

  /// A crash: connects like the kernel, then runs `crash` in a thread.
  void Crash(std::function<void(Fd&)> crash) {
    auto connection = ConnectUnix(Socket(), SOCK_STREAM);
    ASSERT_TRUE(connection) << connection.error().what;
    ::fcntl(connection->get(), F_SETFL, 0);
    kernels_.emplace_back([crash = std::move(crash), end = std::move(*connection)]() mutable { crash(end); });
  }

  /// Runs the server until it has `count` records, or 20 s passed.
  std::vector<CrashRecord> Records(std::size_t count) {
    return RecordsAfter(
        [this, count] { return server_->counters().committed + server_->counters().lost >= count; });
  }
  /// Runs the server until `stop`, and then until it has stopped.
  std::vector<CrashRecord> RecordsAfter(std::function<bool()> stop) {
    RunUntil(std::move(stop));
    server_.reset();
    std::vector<CrashRecord> records;
    const Store store = *Store::Open(path_ + "/store");
    const auto list = ListCrashes(store);
    for (const CrashSummary& crash : list->crashes) records.push_back(*store.Load(crash.location));
    return records;
  }

  /// Runs the server until `done`, then stops it. The bound only ends a test that has failed.
  void RunUntil(std::function<bool()> done) {
    const EventSource bound = *loop_.After(20s, [this] {
      ADD_FAILURE() << "the server did not get there";
      loop_.Stop();
    });
    Poll(std::move(done));
    EXPECT_TRUE(loop_.Run());
  }
  void Poll(std::function<bool()> done) {
    if (done()) return server_->Stop();
    poll_ = *loop_.After(1ms, [this, done] { Poll(done); });
  }

  std::string path_;
  EventLoop loop_ = *EventLoop::Create();
  FakeInspector inspector_;
  std::unique_ptr<Server> server_;
  std::string analyzer_;
  EventSource poll_;
  std::vector<std::jthread> kernels_;
};

std::function<void(Fd&)> Dumping(std::vector<std::byte> core, CoredumpOffer offer = {}) {
  return [core = std::move(core), offer](Fd& server) {
    const auto agreement = Negotiate(server, offer);
    if (!agreement) return;
    if (agreement->dumps() && !SendCore(server, core)) return;
    if (agreement->waits()) AwaitRelease(server);
  };
}

TEST_F(ServerTest, RecordsOneCrashOfEachTransport) {
  Start();
  const auto core = SmallCore(100'000);
  Crash(Dumping(core));
  Crash([core](Fd& server) { (void)SendCore(server, core); });
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  {
    const Fd read_end(pipe[0]);
    const auto helper = ConnectUnix(path_ + "/pipe.socket", SOCK_SEQPACKET);
    const PipeMessage message{
        .pid = 42, .tid = 43, .signal = 6, .dump_mode = 1, .has_pidfd = 1, .core_limit = UINT64_MAX};
    const Fd pidfd = *OpenPidfd(inspector_.crashed());
    const std::array<int, 2> fds{read_end.get(), pidfd.get()};
    ASSERT_TRUE(SendMessage(*helper, std::as_bytes(std::span(&message, 1)), fds));
  }
  kernels_.emplace_back([core, end = Fd(pipe[1])] { (void)WriteAll(end, core); });
  std::set<std::string> transports;
  for (const CrashRecord& record : Records(3)) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull) << record.capture.reason;
    EXPECT_EQ(record.capture.core_bytes, core.size());
    transports.insert(record.capture.transport);
  }
  EXPECT_EQ(transports, (std::set<std::string>{"pipe", "socket", "socket-request"}));
}

TEST_F(ServerTest, TakesTheLongerRequestOfANewerKernel) {
  Start();
  Crash(Dumping(SmallCore(10'000), {.size = 32, .size_ack = 24, .mask = 0x7f}));
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kFull) << records[0].capture.reason;
}

TEST_F(ServerTest, KeepsOnlyTheEventOfAProcessThatWantsNoCore) {
  inspector_.facts.core_limit = 0;
  Start();
  CoredumpAgreement agreed;
  Crash([&](Fd& server) {
    agreed = *Negotiate(server, {});
    AwaitRelease(server);
  });
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kEvent);
  EXPECT_EQ(records[0].capture.detail, Detail::kEvent);
  kernels_.clear();
  EXPECT_EQ(agreed.mark, CoredumpMark::kAccepted);
  EXPECT_EQ(agreed.mask, kCoredumpUserspace | kCoredumpWait);
}

TEST_F(ServerTest, RejectsWhenThePolicySaysSo) {
  inspector_.facts.core_limit = 0;
  Start({.no_core_limit = Detail::kReject});
  CoredumpAgreement agreed;
  Crash([&](Fd& server) {
    agreed = *Negotiate(server, {});
    AwaitRelease(server);
  });
  RunUntil([this] { return server_->counters().rejected == 1; });
  kernels_.clear();
  EXPECT_EQ(agreed.mask, kCoredumpReject);
}

TEST_F(ServerTest, CountsWhatACrashLoopRepeats) {
  inspector_.place = CrashPlace{.facts = inspector_.facts, .started = INT64_MAX};
  Start({.loop_crashes = 2});
  const auto core = SmallCore(10'000);
  std::atomic<int> rejected = 0;
  for (int i = 0; i < 4; ++i)
    Crash([&, core](Fd& server) {
      const auto agreement = Negotiate(server, {});
      if (!agreement) return;
      if (agreement->mask == kCoredumpReject) ++rejected;
      if (agreement->dumps()) (void)SendCore(server, core);
      if (agreement->waits()) AwaitRelease(server);
    });
  Crash([core](Fd& server) { (void)SendCore(server, core); });  // "@" knows no answer: it is closed
  const auto records = RecordsAfter(
      [this] { return server_->counters().committed == 2 && server_->counters().repeated == 3; });
  kernels_.clear();
  EXPECT_EQ(rejected, 2);
  ASSERT_EQ(records.size(), 2u);
  const Store store = *Store::Open(path_ + "/store");
  std::vector<std::uint64_t> repeats;
  for (const CrashRecord& record : records) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull);
    const auto counted = store.LoadRepeats({FormatDay(record.time), record.id});
    repeats.push_back(counted ? counted->crashes : 0);
  }
  EXPECT_EQ(repeats, (std::vector<std::uint64_t>{0, 3})) << "beside the last one that was kept";
}

TEST_F(ServerTest, ARepeatThatHangsUpIsCountedOnce) {
  inspector_.place = CrashPlace{.facts = inspector_.facts, .started = INT64_MAX};
  Start({.loop_crashes = 1});
  Crash(Dumping(SmallCore(10'000)));
  Crash([](Fd&) {});
  const auto records = RecordsAfter(
      [this] { return server_->counters().committed == 1 && server_->counters().repeated == 1; });
  EXPECT_EQ(records.size(), 1u);
}

TEST_F(ServerTest, KeepsEachCrashWhoseSiteItCannotTell) {
  Start({.loop_crashes = 2});
  const auto core = SmallCore(10'000);
  for (int i = 0; i < 5; ++i) Crash(Dumping(core));
  EXPECT_EQ(Records(5).size(), 5u);
}

TEST_F(ServerTest, RecordsWhatIsKnownOfAProcessThatWasGone) {
  inspector_.gone = true;
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].process.pid, 4711);
  EXPECT_EQ(records[0].process.cwd, "");
  EXPECT_EQ(records[0].signal.number, 11) << "from the notes";
}

TEST_F(ServerTest, RecordsAKernelThatHangsUpWithinItsRequest) {
  Start();
  for (std::size_t n = 0; n < 16; ++n)
    Crash([n, wire = EncodeCoredumpRequest({})](Fd& server) {
      (void)WriteAll(server, std::span(wire).first(n));
    });
  const auto records = Records(16);
  ASSERT_EQ(records.size(), 16u);
  for (const CrashRecord& record : records) EXPECT_EQ(record.capture.outcome, CrashOutcome::kFailed);
}

TEST_F(ServerTest, RecordsARequestThatIsGarbage) {
  Start();
  Crash([](Fd& server) { (void)WriteAll(server, std::string_view("GET / HTTP/1.0\r\n\r\n")); });
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kFailed);
  EXPECT_NE(records[0].capture.reason.find("coredump request"), std::string::npos)
      << records[0].capture.reason;
}

TEST_F(ServerTest, QueuesMoreCrashesThanItHasSlots) {
  Start({.slots = 2});
  const auto core = SmallCore(50'000);
  for (int i = 0; i < 40; ++i) Crash(Dumping(core));
  const auto records = Records(40);
  ASSERT_EQ(records.size(), 40u);
  for (const CrashRecord& record : records) EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull);
}

TEST_F(ServerTest, CapturesWhatWaitsBeforeItStops) {
  Start({.slots = 1});
  const auto core = SmallCore(50'000);
  for (int i = 0; i < 10; ++i) Crash(Dumping(core));
  const auto records = RecordsAfter([this] { return server_->intake_counters().crashes == 10; });
  ASSERT_EQ(records.size(), 10u);
  for (const CrashRecord& record : records) EXPECT_EQ(record.capture.outcome, CrashOutcome::kFull);
}

TEST_F(ServerTest, LetsEveryProcessGoWhenTheTimeToStopIsOver) {
  Start({.slots = 1, .stop_timeout = 1s});
  for (int i = 0; i < 3; ++i)
    Crash([](Fd& server) {
      if (Negotiate(server, {})) AwaitRelease(server);  // nothing is dumped
    });
  const auto records = RecordsAfter([this] { return server_->intake_counters().crashes == 3; });
  ASSERT_EQ(records.size(), 3u);
  for (const CrashRecord& record : records) {
    EXPECT_EQ(record.capture.outcome, CrashOutcome::kFailed);
    EXPECT_EQ(record.capture.reason.find("obitd was stopping"), 0u) << record.capture.reason;
  }
}

TEST_F(ServerTest, RefusesAPeerThatIsNotTheKernel) {
  inspector_.is_kernel = false;
  Start();
  const auto client = ConnectUnix(Socket(), SOCK_STREAM);
  ASSERT_TRUE(client);
  RunUntil([this] { return server_->intake_counters().refused == 1; });
  EXPECT_EQ(server_->intake_counters().crashes, 0u);
  std::byte any{};
  EXPECT_EQ(::recv(client->get(), &any, 1, MSG_DONTWAIT), 0) << "closed";
}

TEST_F(ServerTest, RootMayLookWhoListens) {
  inspector_.is_kernel = false;
  Start();
  for (const auto& [path, type] :
       {std::pair{Socket(), SOCK_STREAM}, {path_ + "/pipe.socket", SOCK_SEQPACKET}})
    ASSERT_TRUE(ConnectUnix(path, type));  // and closed
  RunUntil([this] { return server_->intake_counters().visits == 2; });
  EXPECT_EQ(server_->intake_counters().refused, 0u);
}

TEST_F(ServerTest, WhoSaysSomethingIsNoVisitor) {
  inspector_.is_kernel = false;
  Start();
  std::vector<Fd> clients;
  for (int i = 0; i < 20; ++i) {  // more than are waited for
    clients.push_back(*ConnectUnix(Socket(), SOCK_STREAM));
    ASSERT_TRUE(WriteAll(clients.back(), "ELF"));
  }
  RunUntil([this] { return server_->intake_counters().refused == 20; });
  EXPECT_EQ(server_->intake_counters().visits, 0u);
}

TEST_F(ServerTest, ACrashOfALimitedSizeEndsThere) {
  inspector_.facts.core_limit = 8192;
  Start();
  Crash(Dumping(SmallCore(1 << 20)));
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(records[0].capture.reason, "RLIMIT_CORE is 8192 bytes");
  EXPECT_EQ(records[0].capture.core_bytes, 8192u);
}

TEST_F(ServerTest, NumbersGoUpOverRestarts) {
  std::uint64_t before = 0;
  {  // a server that was killed
    StoreNumbers numbers = OpenNumbers(*Store::Create(path_ + "/store"), 4096, false);
    for (int i = 0; i < 3; ++i) before = *numbers.accepted.Take();
  }
  Start();
  Crash(Dumping(SmallCore(10'000)));
  EXPECT_GT(Records(1).back().number, before);
}

TEST_F(ServerTest, ACrashAfterAnImportIsTheNewest) {
  Start();
  Crash(Dumping(SmallCore(10'000)));
  StoreNumbers import = OpenNumbers(*Store::Open(path_ + "/store"), 1, true);
  std::uint64_t imported = 0;
  bool crashed_again = false;
  const auto records = RecordsAfter([&] {
    if (server_->counters().committed >= 1 && !std::exchange(crashed_again, true)) {
      imported = *import.accepted.Take();
      Crash(Dumping(SmallCore(10'000)));
    }
    return server_->counters().committed >= 2;
  });
  ASSERT_EQ(records.size(), 2u);
  EXPECT_LT(records[0].number, imported);
  EXPECT_GT(records[1].number, imported);
}

TEST_F(ServerTest, AWorkersNumberIsBelievedOnlyIfItWasGiven) {
  const Store store = *Store::Create(path_ + "/store");
  CrashRecord record;
  record.id = "00000000000000aa";
  record.time = RealtimeNow();
  record.number = UINT64_MAX - 1;
  {
    const IncomingCrash incoming = *store.Begin(record.id);
    ASSERT_TRUE(WriteRecord(incoming.dir, record));
  }
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = Records(2);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].id, record.id);
  EXPECT_EQ(records[0].number, 0u);
  EXPECT_EQ(records[1].number, 1u);
}

TEST_F(ServerTest, WhatCouldNotBeNumberedIsNumberedLater) {
  StoreNumbers other = OpenNumbers(*Store::Create(path_ + "/store"), 1, true);
  std::optional<Fd> lock = *other.committed.Lock();
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const Store store = *Store::Open(path_ + "/store");
  RunUntil([&] {
    if (server_->counters().committed == 0) return false;
    lock.reset();
    const auto list = ListFolders(store);
    return list && list->crashes.at(0).commit_number > 0;
  });
  EXPECT_EQ(ListCrashes(store)->crashes.at(0).commit_number, ListFolders(store)->crashes.at(0).commit_number);
}

TEST_F(ServerTest, WhatAServerLeftKeepsItsPlaceInTheOrder) {
  CrashRecord record;
  record.id = "00000000000000aa";
  record.time = RealtimeNow();
  {
    const Store store = *Store::Create(path_ + "/store");
    StoreNumbers numbers = OpenNumbers(store, 16, true);
    record.number = *numbers.accepted.Take();
    const IncomingCrash incoming = *store.Begin(record.id);
    EXPECT_TRUE(WriteAll(*OpenAt(incoming.dir, kBegunFile, O_WRONLY | O_CREAT, 0600), RecordToJson(record)));
  }
  std::filesystem::remove(path_ + "/store/numbers/accepted");  // a power cut
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const auto records = Records(2);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].id, record.id);
  EXPECT_EQ(records[0].number, 1u);
  EXPECT_EQ(records[1].number, 2u);
}

TEST_F(ServerTest, ReleasesAProcessWhoseKernelSideStalls) {
  Start({.progress_timeout = 1s});
  Crash([](Fd& server) {
    if (Negotiate(server, {})) AwaitRelease(server);  // nothing is dumped
  });
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kFailed);
  EXPECT_NE(records[0].capture.reason.find("no byte came for 1 s"), std::string::npos)
      << records[0].capture.reason;
}

/// Kills the capture workers of `manager`.
void KillWorkers(pid_t manager) {
  const auto children = ReadFile(fmt::format("/proc/{0}/task/{0}/children", manager), 4096);
  for (const std::string_view pid : Split(Trim(children->text), ' ')) {
    const auto comm = ReadFile(fmt::format("/proc/{}/comm", pid), 64);
    if (comm && Trim(comm->text) == "obitd-capture") ::kill(static_cast<pid_t>(*ParseUnsigned(pid)), SIGKILL);
  }
}

TEST_F(ServerTest, ReplacesAWorkerThatDiesAndLosesNoneOfTheQueue) {
  Start({.slots = 1});
  const auto core = SmallCore(50'000);
  const pid_t manager = ::getpid();
  // Processes, not threads: the manager forks again in this test, and forks only while it has no other
  // thread.
  std::vector<pid_t> crashed;
  const auto crash = [&](const std::function<void(Fd&)>& dump) {
    auto connection = ConnectUnix(Socket(), SOCK_STREAM);
    ASSERT_TRUE(connection);
    ::fcntl(connection->get(), F_SETFL, 0);
    crashed.push_back(::fork());
    if (crashed.back() != 0) return;
    dump(*connection);
    ::_exit(0);
  };
  crash([&](Fd& server) {
    if (!Negotiate(server, {})) return;
    (void)WriteAll(server, std::span(core).first(20'000));
    KillWorkers(manager);
    AwaitRelease(server);
  });
  for (int i = 0; i < 3; ++i) crash(Dumping(core));
  const auto records = Records(4);
  for (const pid_t pid : crashed) EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(std::ranges::count(records, CrashOutcome::kFull,
                               [](const CrashRecord& record) { return record.capture.outcome; }),
            3);
  const auto lost = std::ranges::find_if(
      records, [](const CrashRecord& record) { return record.capture.outcome != CrashOutcome::kFull; });
  ASSERT_NE(lost, records.end());
  EXPECT_NE(lost->capture.reason.find("the capture worker died of SIGKILL"), std::string::npos)
      << lost->capture.reason;
}

TEST_F(ServerTest, RefusesASecondServerOnOneStore) {
  Start();
  EventLoop other = *EventLoop::Create();
  const auto second = Server::Create(other, *Store::Create(path_ + "/store"), {}, {}, inspector_, "");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
}

TEST_F(ServerTest, AnalysesWhatItStored) {
  analyzer_ = MakeFakeAnalyzer(path_ + "/analyzer", kWriteReport);
  Start();
  Crash(Dumping(SmallCore(10'000)));
  const Store store = *Store::Open(path_ + "/store");
  const auto crash = [&]() -> std::optional<CrashLocation> {
    const auto list = ListFolders(store);
    return list && !list->crashes.empty() ? std::optional(list->crashes[0].location) : std::nullopt;
  };
  RunUntil([&] { return crash() && store.LoadReport(*crash()); });
  EXPECT_THAT(ReadFile(path_ + "/analyzer.arguments", 4096)->text, ::testing::HasSubstr("--module=400000:"));
}

TEST_F(ServerTest, AnalysesNoEvent) {
  analyzer_ = MakeFakeAnalyzer(path_ + "/analyzer", kWriteReport);
  inspector_.facts.core_limit = 0;
  Start();
  Crash([](Fd& server) {
    if (Negotiate(server, {})) AwaitRelease(server);
  });
  EXPECT_EQ(Records(1).size(), 1u);
  EXPECT_THAT(ReadFile(path_ + "/analyzer.arguments", 4096), FailsWith(ENOENT)) << "nothing was started";
}

TEST_F(ServerTest, AnalysesWhatAServerBeforeItDidNot) {
  const Store store = *Store::Create(path_ + "/store");
  CrashRecord record;
  record.id = "00000000000000aa";
  record.time = RealtimeNow();
  {
    const IncomingCrash incoming = *store.Begin(record.id);
    ASSERT_TRUE(WriteFileAtomically(incoming.dir, kCoreFile, "core", 0600));
    ASSERT_TRUE(WriteRecord(incoming.dir, record));
  }
  const CrashLocation crash = *store.Commit(record.id, record.time);
  analyzer_ = MakeFakeAnalyzer(path_ + "/analyzer", kWriteReport);
  Start();
  RunUntil([&] { return store.LoadReport(crash).has_value(); });
}

TEST_F(ServerTest, RecoversWhatADeadServerLeft) {
  const std::string id = "00000000000000aa";
  {
    const Store store = *Store::Create(path_ + "/store");
    const IncomingCrash incoming = *store.Begin(id);
    CrashRecord record;
    record.id = id;
    record.time = RealtimeNow();
    EXPECT_TRUE(WriteAll(*OpenAt(incoming.dir, kBegunFile, O_WRONLY | O_CREAT, 0600), RecordToJson(record)));
  }
  Start();
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].id, id);
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kFailed);
  EXPECT_NE(records[0].capture.reason.find("killed while it captured"), std::string::npos);
}

}  // namespace
}  // namespace obit
