#include "server/clerk.h"

#include <array>
#include <csignal>
#include <thread>

#include <linux/sockios.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/text.h"
#include "catalog/index.h"
#include "catalog/list.h"
#include "jobs/fake_analyzer.h"
#include "kernel/bag.h"
#include "server/role_process.h"
#include "server/test_clerk.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::Facts;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Head;
using testing::kId;
using testing::kWriteReport;
using testing::MakeFakeAnalyzer;
using testing::Succeeds;

/// The clerk as a process of its own, and the test as its manager.
class ClerkTest : public testing::ClerkStoreTest {
 protected:
  ~ClerkTest() override {
    manager_.Reset();
    if (clerk_ > 0) ::kill(clerk_, SIGKILL), ::waitpid(clerk_, nullptr, 0);
  }

  void Start(Config config = {}) {
    config.hooks = "";
    config.journal = false;
    SocketPair orders = *MakeSocketPair(SOCK_SEQPACKET), log = *MakeSocketPair(SOCK_DGRAM);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Fd read(ends[0]), write(ends[1]);
    const pid_t parent = ::getpid();
    clerk_ = ::fork();
    if (clerk_ == 0) {
      BecomeChild("obitd-clerk", parent);
      ::unsetenv("JOURNAL_STREAM");
      ::dup2(write.get(), STDERR_FILENO);
      SetLogName("obitd");
      orders.first.Reset();
      log.first.Reset();
      manager_.Reset();
      RunClerk({.manager = std::move(orders.second),
                .log = std::move(log.second),
                .store = *Store::Open(store_.path()),
                .config = config,
                .analyzer = analyzer_,
                .programs = {analyzer_},
                .ledger = &ledger_});
    }
    manager_ = std::move(orders.first);
    log_ = std::move(log.first);
    error_ = std::move(read);
  }

  void Tell(const Order& order, std::string_view text = {}, const Fd& fd = Fd()) {
    std::string message(reinterpret_cast<const char*>(&order), sizeof order);
    message += text;
    const int number = fd.get();
    ASSERT_THAT(SendMessage(manager_, std::as_bytes(std::span(message)), {&number, fd ? 1U : 0U}),
                Succeeds());
  }
  void TellRecord(CrashKey crash, const std::string& id = kId) {
    const std::string reason = "no core is wanted";
    Tell({.kind = Order::Kind::kRecord,
          .reason_bytes = static_cast<std::uint32_t>(reason.size()),
          .crash = crash,
          .head = Head(id)},
         Facts() + reason);
  }
  /// The next word of this kind; others before it are skipped. The bound only ends a test that has failed.
  ClerkWord Await(ClerkWord::Kind kind) {
    for (;;) {
      pollfd ready{manager_.get(), POLLIN, 0};
      const bool there = ::poll(&ready, 1, 20'000) == 1;
      EXPECT_TRUE(there) << "no word of kind " << static_cast<int>(kind);
      const auto message = there ? ReceiveMessage(manager_, kMessageMax, MSG_DONTWAIT) : Message();
      ClerkWord word;
      if (!message || message->bytes.size() < sizeof word) {
        ADD_FAILURE() << "the clerk is gone";
        return word;
      }
      std::memcpy(&word, message->bytes.data(), sizeof word);
      if (word.kind == kind) return word;
    }
  }
  int ExitStatus() {
    int status = -1;
    ::waitpid(std::exchange(clerk_, -1), &status, 0);
    return status;
  }
  /// What it wrote to standard error until it ended.
  std::string Said() { return ReadText(error_, "its log", 1 << 20)->text; }
  std::string TextOf(const std::string& name) {
    const auto file = ReadFile(folder_ / name, 1 << 20);
    return file ? file->text : "";
  }

  Ledger ledger_ = *Ledger::Open("");
  std::string analyzer_;
  Fd manager_, log_, error_;
  pid_t clerk_ = -1;
};

TEST_F(ClerkTest, TakesOrdersUntilItIsStopped) {
  Start();
  EXPECT_EQ(Await(ClerkWord::Kind::kNumbers).first, 1u);
  Await(ClerkWord::Kind::kReady);  // crashes are accepted from here on: they have numbers
  EXPECT_EQ(Await(ClerkWord::Kind::kWantsMapped).count, 0u);
  TellRecord(1);
  TellRecord(1);  // of a manager that has not heard of the first
  for (int i = 0; i < 2; ++i) {
    const ClerkWord done = Await(ClerkWord::Kind::kDone);
    EXPECT_EQ(done.crash, 1u);
    EXPECT_EQ(done.kept, 1u);
  }
  EXPECT_EQ(Committed()->capture.reason, "no core is wanted");
  Tell({.kind = Order::Kind::kCount, .head = Head(), .count = 1}, "counted");
  Tell({.kind = Order::Kind::kCount, .head = Head(), .count = 7}, "looper");
  Tell({.kind = Order::Kind::kLost}, "crash not recorded: too many");
  Tell({.kind = Order::Kind::kLoad,
        .load = {.queued = 3,
                 .captures = 4,
                 .left_behind = 1,
                 .refused = 6,
                 .replaced = 7,
                 .tallies = {.repeated = 5, .counted = 1, .over_budget = 3, .no_room = 8, .lost = 2}}});
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  EXPECT_EQ(ExitStatus(), 0);
  const std::string metrics = TextOf("store/metrics.prom");
  for (const char* line :
       {"\nobit_crashes_total 1\n", "\nobit_crashes_rejected_total 1\n",
        "\nobit_crashes_over_budget_total 3\n", "\nobit_crashes_without_room_total 8\n",
        "\nobit_crashes_repeated_total 5\n", "\nobit_crashes_lost_total 2\n", "\nobit_queue_length 3\n",
        "\nobit_captures_running 4\n", "\nobit_processes_left_behind 1\n", "\nobit_refused_peers_total 6\n",
        "\nobit_processes_replaced_total 7\n", "\nobit_store_crashes 1\n"})
    EXPECT_THAT(metrics, HasSubstr(line));
  const std::string said = Said();
  EXPECT_THAT(said, HasSubstr("obitd: 00000000000000aa crashed[4711] SIGSEGV: event: no core is wanted\n"));
  EXPECT_THAT(said, HasSubstr("obitd: counted[4711] SIGSEGV: only counted\n"));
  EXPECT_THAT(said, HasSubstr("obitd: 7 crashes of looper SIGSEGV: only counted\n"));
  EXPECT_THAT(said, HasSubstr("obitd: crash not recorded: too many\n"));
}

TEST_F(ClerkTest, SaysWhatRoomThereIs) {
  Start();
  EXPECT_EQ(Await(ClerkWord::Kind::kRoom).kept, 1u) << "before crashes are accepted";
  Await(ClerkWord::Kind::kReady);
  TellRecord(1);
  Await(ClerkWord::Kind::kDone);
  Await(ClerkWord::Kind::kRoom);  // which counts it
  Tell({.kind = Order::Kind::kAskRoom});
  Await(ClerkWord::Kind::kRoom);
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  ExitStatus();
}

TEST_F(ClerkTest, SaysWhenABagIsClosed) {
  Start();
  Await(ClerkWord::Kind::kReady);
  SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET);
  Tell({.kind = Order::Kind::kDiscard}, {}, bag.second);
  bag.second.Reset();
  Await(ClerkWord::Kind::kDiscarded);
  const char byte = 0;
  EXPECT_EQ(::send(bag.first.get(), &byte, 1, MSG_NOSIGNAL), -1) << "nobody has it any more";
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  ExitStatus();
}

TEST_F(ClerkTest, TellsWhatIsLostWhoeverHadTheLine) {
  for (int i = 0; i < 3; ++i) ledger_.Count(&Tallies::lost);
  Start();
  Await(ClerkWord::Kind::kReady);
  Tell({.kind = Order::Kind::kLost}, "crash not recorded: too many");
  for (int i = 0; i < 2; ++i) Tell({.kind = Order::Kind::kLoad, .load = {.tallies = {.lost = 3}}});
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  ExitStatus();
  const std::string said = Said();
  EXPECT_THAT(said, HasSubstr("obitd: crash not recorded: too many\n"));
  const std::string rest = "obitd: crashes not recorded: 2 more";
  EXPECT_THAT(said, HasSubstr(rest));
  EXPECT_EQ(said.find(rest), said.rfind(rest)) << "once";
  EXPECT_EQ(ledger_.lost_told(), 3U);
}

TEST_F(ClerkTest, WorksOffWhatADeadManagerSent) {
  Start();
  Await(ClerkWord::Kind::kReady);
  constexpr int kCrashes = 100;
  for (int i = 1; i <= kCrashes; ++i) TellRecord(static_cast<CrashKey>(i), fmt::format("{:016x}", i));
  manager_.Reset();
  EXPECT_EQ(ExitStatus(), 0);
  EXPECT_EQ(ListFolders(store_)->crashes.size(), std::size_t{kCrashes});
}

TEST_F(ClerkTest, WritesTheLogOfOthers) {
  Start();
  const std::string line = std::string(1, static_cast<char>(Severity::kNotice)) + "a line\nof a worker";
  ASSERT_THAT(SendMessage(log_, testing::BytesOf(line), {}), Succeeds());
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  ExitStatus();
  EXPECT_THAT(Said(), HasSubstr("obitd: a line\\nof a worker\n"));
}

TEST_F(ClerkTest, DoesNotWaitForWhoReadsItsLog) {
  Start();
  const std::string line = std::string(1, static_cast<char>(Severity::kNotice)) + std::string(4000, 'x');
  for (int i = 0; i < 200; ++i) ASSERT_THAT(SendMessage(log_, testing::BytesOf(line), {}), Succeeds());
  TellRecord(1);
  EXPECT_EQ(Await(ClerkWord::Kind::kDone).kept, 1u);
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  EXPECT_EQ(ExitStatus(), 0);
}

TEST_F(ClerkTest, TellsWhatWasLeftAndRecordsWhatTheLedgerKnows) {
  LeaveBegun("00000000000000bb", RecordOf(kId));
  ASSERT_TRUE(ledger_.Note(9, {.head = Head("00000000000000cc")}));
  Start();
  const ClerkWord abandoned = Await(ClerkWord::Kind::kAbandoned);
  EXPECT_EQ(TextIn(abandoned.id), kId);
  Await(ClerkWord::Kind::kReady);
  const auto record = Committed("00000000000000cc");
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.reason, "the manager of obitd died while it had this crash");
  EXPECT_EQ(record->process.uid, 1000u);
  EXPECT_TRUE(ledger_.LeftBy(1).empty());
}

TEST_F(ClerkTest, TellsThatACountedCrashIsGone) {
  Start();
  RecordHead old = Head();
  old.time -= 365 * testing::kOneDay * 2;
  Tell({.kind = Order::Kind::kRepeats, .head = old, .count = 3, .first = 1, .last = 2});
  EXPECT_EQ(TextIn(Await(ClerkWord::Kind::kKeptIsGone).id), kId);
}

TEST_F(ClerkTest, RefusesOrdersWithoutSense) {
  Start();
  Await(ClerkWord::Kind::kReady);
  Tell({.kind = Order::Kind::kCommit, .crash = 1});
  EXPECT_EQ(Await(ClerkWord::Kind::kDone).kept, 0u);
  Tell({.kind = Order::Kind::kRecord, .reason_bytes = 1000, .crash = 2, .head = Head()}, "short");
  EXPECT_EQ(Await(ClerkWord::Kind::kDone).kept, 0u);
  Tell({.kind = static_cast<Order::Kind>(99)});
  ASSERT_THAT(SendMessage(manager_, testing::BytesOf("short"), {}), Succeeds());
  TellRecord(3);
  EXPECT_EQ(Await(ClerkWord::Kind::kDone).kept, 1u);
}

TEST_F(ClerkTest, TakesANewConfiguration) {
  Start();
  Await(ClerkWord::Kind::kReady);
  Tell({.kind = Order::Kind::kConfigure}, "[journal\n");
  Tell({.kind = Order::Kind::kConfigure}, "[metrics]\nenabled = false\n");
  std::filesystem::remove(folder_ / "store/metrics.prom");
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  ExitStatus();
  EXPECT_THAT(Said(), HasSubstr("the configuration"));
}

TEST_F(ClerkTest, HasAnalysedWhatItCommittedWithWhatWasMapped) {
  analyzer_ = MakeFakeAnalyzer(folder_ / "analyzer", kWriteReport);
  LeaveComplete(kId, RecordOf(kId));
  Start();
  EXPECT_EQ(Await(ClerkWord::Kind::kWantsMapped).count, 1u);
  SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET);
  Tell({.kind = Order::Kind::kCommit, .has_mapped = 1, .crash = 1, .head = Head()}, Facts(), bag.second);
  Await(ClerkWord::Kind::kDone);
  const CrashLocation crash{"2026-11-23", kId};
  RunThrough({{[&] { return store_.LoadReport(crash).has_value(); }}});
  EXPECT_THAT(TextOf("analyzer.arguments"), HasSubstr("--mapped="));
}

TEST_F(ClerkTest, HasTheTraceOfAnEventAnalysedAndKeepsNoCore) {
  analyzer_ = MakeFakeAnalyzer(folder_ / "analyzer", kWriteReport);
  Start();
  EXPECT_EQ(Await(ClerkWord::Kind::kWantsTraces).count, AnalysisQueue::kTracesMax);
  SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET);
  const Fd core(::memfd_create("trace", MFD_CLOEXEC));
  ASSERT_THAT(WriteAll(core, std::string_view("core")), Succeeds());
  BagSender sender(std::move(bag.second));
  sender.PutTrace(core);
  sender.End();
  Tell({.kind = Order::Kind::kRecord, .crash = 1, .head = Head(), .has_trace = 1}, Facts(), bag.first);
  EXPECT_EQ(Await(ClerkWord::Kind::kWantsTraces).count, AnalysisQueue::kTracesMax - 1);
  EXPECT_EQ(Await(ClerkWord::Kind::kDone).kept, 1U) << "only then";
  EXPECT_EQ(Await(ClerkWord::Kind::kWantsTraces).count, AnalysisQueue::kTracesMax);
  const CrashLocation crash{"2026-11-23", kId};
  EXPECT_THAT(store_.LoadReport(crash), Succeeds());
  const auto record = Committed();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kEvent);
  EXPECT_EQ(record->capture.stored_bytes, 0U);
  EXPECT_EQ(record->files.core, "");
  EXPECT_THAT(store_.OpenFile(crash, kCoreFile), FailsWith(ENOENT));
}

TEST_F(ClerkTest, OfATraceThatWaitedNothingIsLeftByADeath) {
  analyzer_ = MakeFakeAnalyzer(folder_ / "analyzer", kWriteReport);
  Start();
  Await(ClerkWord::Kind::kReady);
  Tell({.kind = Order::Kind::kHoldJobs, .held = 1});
  SocketPair bag = *MakeSocketPair(SOCK_SEQPACKET);
  BagSender sender(std::move(bag.second));
  const Fd core(::memfd_create("trace", MFD_CLOEXEC));
  ASSERT_THAT(WriteAll(core, std::string_view("core")), Succeeds());
  sender.PutTrace(core);
  sender.End();
  Tell({.kind = Order::Kind::kRecord, .crash = 1, .head = Head(), .has_trace = 1}, Facts(), bag.first);
  Await(ClerkWord::Kind::kDone);
  ::kill(clerk_, SIGKILL);
  ExitStatus();
  Start();
  EXPECT_EQ(Await(ClerkWord::Kind::kWantsTraces).count, AnalysisQueue::kTracesMax);
  const CrashLocation crash{"2026-11-23", kId};
  EXPECT_THAT(*ListDirectory(*Open(store_.PathOf(crash), O_RDONLY | O_DIRECTORY)),
              ::testing::UnorderedElementsAre(kRecordFile, kCommitFile));
  EXPECT_THAT(*ListDirectory(*Open(folder_ / "store/incoming", O_RDONLY | O_DIRECTORY)),
              ::testing::IsEmpty());
}

TEST_F(ClerkTest, ReadsARecordOnceAndItsAnalysisOnce) {
  analyzer_ = MakeFakeAnalyzer(folder_ / "analyzer", kWriteReport);
  Start();
  Await(ClerkWord::Kind::kReady);
  LeaveComplete(kId, RecordOf(kId));
  const Fd reads(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_GE(
      ::inotify_add_watch(reads.get(), (store_.path() + "/incoming/" + kId).c_str(), IN_ACCESS | IN_CLOSE),
      0);
  const auto count = [&] {
    int found = 0;
    alignas(inotify_event) std::array<char, 65536> events;
    const auto got = ::read(reads.get(), events.data(), events.size());
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(&events[static_cast<std::size_t>(at)]);
      found +=
          (event->mask & IN_ACCESS) != 0 && event->len > 0 && std::string_view(event->name) == kRecordFile;
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    return found;
  };
  Tell({.kind = Order::Kind::kCommit, .crash = 1, .head = Head()}, Facts());
  Await(ClerkWord::Kind::kDone);
  const CrashLocation crash{"2026-11-23", kId};
  RunThrough({{[&] { return store_.LoadReport(crash).has_value(); }}});
  Tell({.kind = Order::Kind::kStop});
  Await(ClerkWord::Kind::kStopped);
  ExitStatus();
  EXPECT_EQ(count(), 2);
  EXPECT_EQ(Index::Open(store_)->List(store_)->crashes.size(), 1u);
  EXPECT_EQ(count(), 0) << "the index has it, and its report";
}

TEST_F(ClerkTest, CarriesOutAnOrderWhoseBagItCannotTake) {
  Start();
  Await(ClerkWord::Kind::kReady);
  Await(ClerkWord::Kind::kWantsMapped);
  ::kill(clerk_, SIGSTOP);
  rlimit limit{};
  ASSERT_EQ(::prlimit(clerk_, RLIMIT_NOFILE, nullptr, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  ASSERT_EQ(::prlimit(clerk_, RLIMIT_NOFILE, &none, nullptr), 0);
  Tell({.kind = Order::Kind::kRecord, .crash = 1, .head = Head()}, Facts(), *Open("/dev/null", O_RDONLY));
  ::kill(clerk_, SIGCONT);
  RunThrough({{[&] {
    int unread = 1;
    return ::ioctl(manager_.get(), SIOCOUTQ, &unread) == 0 && unread == 0;
  }}});
  ASSERT_EQ(::prlimit(clerk_, RLIMIT_NOFILE, &limit, nullptr), 0);
  EXPECT_EQ(Await(ClerkWord::Kind::kDone).crash, 1u);
  EXPECT_TRUE(Committed());
  manager_.Reset();
  ExitStatus();
  EXPECT_THAT(Said(), HasSubstr("the clerk has too many files open"));
}

TEST_F(ClerkTest, LeavesNoProgramBehind) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  analyzer_ = MakeFakeAnalyzer(folder_ / "analyzer", "echo $$ > $0.new; mv $0.new $0.pid; exec sleep 1000");
  LeaveComplete(kId, RecordOf(kId));
  Start();
  Tell({.kind = Order::Kind::kCommit, .crash = 1, .head = Head()}, Facts());
  RunThrough({{[&] { return !TextOf("analyzer.pid").empty(); }}});
  const pid_t analysis = std::stoi(TextOf("analyzer.pid"));
  ::kill(clerk_, SIGKILL);
  ExitStatus();
  int status = 0;
  EXPECT_EQ(::waitpid(analysis, &status, 0), analysis);
  EXPECT_EQ(testing::OutcomeOf(status), (testing::Outcome{0, SIGKILL}));
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_F(ClerkTest, EndsWithItsLauncherAfterItsOrders) {
  Start();
  Await(ClerkWord::Kind::kWantsMapped);
  const auto children = ReadFile(fmt::format("/proc/{0}/task/{0}/children", clerk_), 4096);
  ASSERT_THAT(children, Succeeds());
  const auto launcher = ParseUnsigned(Trim(children->text));
  ASSERT_TRUE(launcher) << children->text;
  ::kill(clerk_, SIGSTOP);
  TellRecord(1);
  ::kill(static_cast<pid_t>(*launcher), SIGKILL);
  ::kill(clerk_, SIGCONT);
  EXPECT_EQ(testing::OutcomeOf(ExitStatus()), testing::Outcome{1});
  EXPECT_TRUE(Committed());
  EXPECT_THAT(Said(), HasSubstr("the process that starts programs is gone"));
}

}  // namespace
}  // namespace obit
