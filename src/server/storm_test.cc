// Storms of crashes against a whole server, whose manager is judged all the while by the referee of the
// simulation, and told the same again at the end (test_witness.h). OBIT_SEED makes another storm.

#include <csignal>

#include <sys/wait.h>

#include "manager/test_simulator.h"
#include "server/test_server.h"
#include "server/test_storm.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::kNoAnswer;
using testing::Plan;
using testing::Trap;
using testing::Until;
using testing::Way;

class StormTest : public testing::ServerTest {
 protected:
  StormTest()
      : seed_(testing::FromEnvironment("OBIT_SEED").value_or(1)), random_(seed_), storm_inspector_(*storm_) {
    config_.slots = 3;
    config_.queue_timeout = config_.stop_timeout = 1s;
    config_.progress_timeout = 5s;  // of workers: the manager's is earlier
    config_.loop_cores = 2;
    config_.loop_events = 1;
    limits_ = [](ManagerLimits& limits) {
      limits.site = limits.risky = 200ms;
      limits.safe = 400ms;
      limits.exchange = limits.held = 500ms;
      limits.look = 100ms;
      limits.idle_looks = 3;
      limits.die = 1us;  // so who is killed is left behind, as if he could not die
    };
    user_of_ = [this](pid_t pid) { return storm_->PlanOf(pid).user; };
    before_crash_ = [this] { storm_->PlanOf(::getpid()) = plan_; };
    change_ = [this](Supervisor::Setup& setup) {
      setup.times.seats.quick = {};  // who is killed has not failed at his start
      setup.lives.manager = [this](ManagerSetup manager) {
        testing::RefereeWitness witness({.config = manager.config,
                                         .limits = manager.limits,
                                         .inspectors = manager.inspectors,
                                         .workers = manager.workers,
                                         .site_key = manager.ledger->site_key(),
                                         .sites = manager.ledger->sites()},
                                        storm_->testimony);
        manager.witness = &witness;
        RunManager(std::move(manager));
      };
      setup.lives.inspector = [this](InspectorSetup inspector) {
        inspector.inspector = &storm_inspector_;
        RunInspector(std::move(inspector));
      };
    };
  }

  /// Makes the next crash, as soon as not too many are under way.
  void CrashNext() {
    constexpr std::size_t kAtOnce = 30;
    ASSERT_TRUE(Until([this] { return Crashing() < kAtOnce || IsWrong(); })) << "they are held for ever";
    plan_ = MakePlan();
    if (plan_.way == Way::kPipes)
      CrashByPipe([this](Fd& pipe) { return WriteAll(pipe, SmallCore(plan_.bytes)) ? 0 : kNoAnswer; });
    else
      Crash([this](Fd& server) { return Live(server); });
  }
  /// SIGKILL or SIGSTOP for one of the server's, other than the manager.
  void HurtSomebody() {
    const auto processes = Processes(
        random_.Of({"obitd-capture", "obitd-capture", "obitd-inspect", "obitd-pump", "obitd-clerk"}));
    if (processes.empty()) return;
    const auto which = random_.Below(static_cast<std::int64_t>(processes.size()));
    ::kill(processes[static_cast<std::size_t>(which)], random_.Of({SIGKILL, SIGSTOP}));
  }
  /// With that much `trouble` for the server, in percent.
  void Storm(int crashes, int trouble) {
    trouble_ = trouble;
    for (int i = 0; i < crashes && !IsWrong(); ++i) {
      CrashNext();
      if (random_.Chance(trouble_)) HurtSomebody();
    }
  }
  /// Until every process is let go, and has ended.
  void CalmDown() {
    EXPECT_TRUE(Until([this] { return Crashing() == 0 || IsWrong(); })) << "a process is held for ever";
  }
  /// Stops in the middle of it. Nothing may have been wrong with these managers.
  void EndStorm(unsigned managers) {
    const testing::Testimony& testimony = storm_->testimony;
    if (!IsWrong()) {
      BeginStop();
      shared_->go_on = true;
      AwaitStop();
      CalmDown();
      EXPECT_EQ(testimony.managers, managers);
      EXPECT_EQ(testimony.stopped, 1U);
    }
    EXPECT_FALSE(IsWrong()) << "OBIT_SEED=" << seed_ << ": " << testimony.story.data();
  }
  [[nodiscard]] bool IsWrong() const { return HasFailure() || storm_->testimony.wrong; }
  /// What has to happen in a storm, and did not yet.
  [[nodiscard]] std::string NotSeen() const {
    static const Command kKinds[] = {
        command::Answer{},        command::Release{}, command::KillProcess{}, command::StartCapture{},
        command::StartRecovery{}, command::Record{},  command::Commit{},      command::Count{},
        command::NoteRepeats{},   command::Kill{},    command::LeaveBehind{}};
    std::string names;
    for (const Command& kind : kKinds)
      if (storm_->testimony.CountOf(kind) == 0) names += std::visit(testing::TextOfCommand{}, kind) + ", ";
    return names;
  }

  const std::uint64_t seed_;
  testing::Random random_;

 private:
  /// The first ones are one of each way.
  Plan MakePlan() {
    if (first_ <= Way::kWorks) {
      const auto number = static_cast<std::uint8_t>(first_);
      return {.way = std::exchange(first_, Way{static_cast<std::uint8_t>(number + 1)}),
              .user = 1000,
              .site = 2000U + number,
              .bytes = 100'007};
    }
    if (loop_left_ > 0) {
      --loop_left_;
      return {.user = 1000, .site = 3000, .bytes = 5000};
    }
    if (random_.Chance(1)) loop_left_ = 60;
    Plan plan{.user = static_cast<uid_t>(1000 + random_.Below(5)),
              .site = static_cast<std::uint32_t>(random_.Below(random_.Of<std::int64_t>({2, 1000}))),
              .bytes = static_cast<std::uint32_t>(random_.Below(200'000))};
    if (random_.Chance(10)) plan.core_limit = random_.Of<std::uint64_t>({0, 8192});
    if (random_.Chance(trouble_ / 5)) plan.trap = random_.Of({Trap::kSite, Trap::kSafeFacts, Trap::kFacts});
    if (random_.Chance(40))
      plan.way =
          random_.Of({Way::kDumpsMuch, Way::kDumpsMuch, Way::kDumpsMuch, Way::kSendsWithoutAWord,
                      Way::kSendsWithoutAWord, Way::kPipes, Way::kPipes, Way::kPipes, Way::kHangsUpEarly,
                      Way::kHangsUpEarly, Way::kHangsUp, Way::kHangsUp, Way::kStalls, Way::kIsSilent,
                      Way::kIsNoKernel, Way::kRefuses, Way::kLingers, Way::kWorks});
    return plan;
  }
  /// In the process that crashes, with the kernel behind it.
  int Live(Fd& server) const {
    switch (plan_.way) {
      case Way::kDumps:
      case Way::kPipes:
        return testing::Dumping(SmallCore(plan_.bytes))(server);
      case Way::kDumpsMuch:
        return testing::Dumping(testing::NoiseCore(plan_.bytes * std::size_t{40}))(server);
      case Way::kSendsWithoutAWord:
        return SendCore(server, SmallCore(plan_.bytes)) ? 0 : kNoAnswer;
      case Way::kHangsUpEarly: {
        const auto request = EncodeCoredumpRequest({});
        (void)WriteAll(server, std::span(request).first(plan_.bytes % request.size()));
        return 0;
      }
      case Way::kHangsUp:
      case Way::kStalls: {
        const auto core = SmallCore(plan_.bytes);
        if (const auto agreement = Negotiate(server, {}); !agreement || !agreement->dumps()) return kNoAnswer;
        (void)WriteAll(server, std::span(core).first(core.size() / 2));
        if (plan_.way == Way::kStalls) AwaitRelease(server);
        return 0;
      }
      case Way::kIsSilent:
        AwaitRelease(server);
        return 0;
      case Way::kIsNoKernel:
        (void)WriteAll(server, std::string_view("GET / HTTP/1.0\r\n\r\n"));
        AwaitRelease(server);
        return 0;
      case Way::kRefuses: {
        (void)WriteAll(server, EncodeCoredumpRequest({}));
        std::array<std::byte, kCoredumpAckMin> answer{};
        (void)ReadFull(server, answer);
        (void)WriteAll(server, std::as_bytes(std::span(&kRefusal, 1)));
        AwaitRelease(server);
        return 0;
      }
      case Way::kLingers:
      case Way::kWorks:
        // A kernel that is told to dump nothing has nothing left in which it could stay.
        if ((testing::Dumping(SmallCore(plan_.bytes))(server) & kCoredumpReject) != 0) return 0;
        for (int i = 0; !shared_->go_on && (plan_.way == Way::kLingers || i < 1000); ++i)
          ::poll(nullptr, 0, 1);
        return 0;
    }
    return kNoAnswer;
  }
  /// Processes that have not ended yet.
  std::size_t Crashing() {
    for (testing::Child& child : crashed_) {
      siginfo_t info{};
      if (child.pid() > 0 &&
          ::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid != 0)
        child.Wait();
    }
    return static_cast<std::size_t>(
        std::ranges::count_if(crashed_, [](const auto& child) { return child.pid() > 0; }));
  }

  static constexpr CoredumpMark kRefusal = CoredumpMark::kConflicting;

  testing::SharedMemory<testing::StormShared> storm_;
  testing::StormInspector storm_inspector_;
  Plan plan_;  // of the next crash
  Way first_ = Way::kDumps;
  int loop_left_ = 0;  // crashes of one site that come in a row
  int trouble_ = 0;
};

TEST_F(StormTest, TheManagerKeepsItsRules) {
  Start();
  Storm(80, 0);  // whose crashes cost inspectors is not asked for their sites any more
  CalmDown();
  Storm(150, 25);
  EXPECT_TRUE(Until([this] {
    CalmDown();  // what waits for its recovery has its turn only then
    if (!NotSeen().empty()) Storm(30, 25);
    return NotSeen().empty() || IsWrong();
  })) << "no "
      << NotSeen();
  config_.slots = 4;
  config_.progress_timeout = 1s;
  config_.loop_cores = 1;
  config_.no_core_limit = Detail::kReject;
  Configure(config_);
  Storm(60, 25);
  EndStorm(1);
}

TEST_F(StormTest, SoDoesTheNextManager) {
  Start();
  Storm(50, 25);
  Signal("obitd-manager", random_.Of({SIGKILL, SIGSTOP}));
  Storm(50, 25);
  EndStorm(2);
}

}  // namespace
}  // namespace obit
