// A whole server in a crash loop: an inspector stands at the door, and each crash is counted once, whoever
// dies.

#include "server/test_server.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::Dumping;
using testing::kNoAnswer;
using ::testing::SizeIs;
using testing::Until;

struct DoorShared {
  std::atomic<int> glances{0};         // at the door
  std::atomic<pid_t> keeper{0};        // who looked last
  std::atomic<bool> hangs{false};      // he who stands there
  std::atomic<bool> elsewhere{false};  // where the next ones crash
};

/// Hangs at the door if it is to.
class DoorInspector final : public FakeInspector {
 public:
  DoorInspector(const FakeInspector& like, DoorShared& shared) : FakeInspector(like), shared_(shared) {}
  std::optional<CrashGlance> GlanceAt(const PidfdInfo& known) override {
    shared_.keeper = ::getpid();
    ++shared_.glances;
    while (shared_.hangs) ::poll(nullptr, 0, 1);
    auto seen = FakeInspector::GlanceAt(known);
    if (seen && shared_.elsewhere) seen->offset += 4;
    return seen;
  }

 private:
  DoorShared& shared_;
};

class ServerDoorTest : public testing::ServerTest {
 protected:
  ServerDoorTest() {
    config_.loop_cores = 1;
    config_.loop_events = 0;
    change_ = [this](Supervisor::Setup& setup) {
      setup.lives.inspector = [this](InspectorSetup inspector) {
        DoorInspector at_door(inspector_, *door_);
        inspector.inspector = &at_door;
        RunInspector(std::move(inspector));
      };
    };
  }

  /// The first of a loop, which is kept.
  void Begin() {
    Start();
    Crash(Dumping(SmallCore(1000)));
    EXPECT_EQ(AnswerTo(0), static_cast<int>(kCoredumpKernel | kCoredumpWait));
  }
  /// So many more, one after the other. All are only counted.
  void Repeat(int times) {
    for (int i = 0; i < times; ++i) {
      Crash(Rejected);
      EXPECT_EQ(AnswerTo(crashed_.size() - 1), kCoredumpReject);
    }
  }
  /// Until somebody has stood at the door.
  void RepeatUntilAtDoor() {
    const int before = door_->glances;
    while (door_->glances == before && crashed_.size() < 2000) Repeat(1);
    ASSERT_GT(door_->glances, before) << "nobody stands at the door";
  }
  static int Rejected(Fd& server) {
    const auto agreement = Negotiate(server, {});
    return agreement ? static_cast<int>(agreement->mask) : kNoAnswer;
  }
  [[nodiscard]] int AllRepeats() const {
    const Store store = *Store::Open(path_ + "/store");
    std::uint64_t repeats = 0;
    const auto list = ListCrashes(store);
    for (const CrashSummary& crash : list->crashes)
      if (const auto counted = store.LoadRepeats(crash.location)) repeats += counted->crashes;
    return static_cast<int>(repeats);
  }
  /// Those that were not kept.
  [[nodiscard]] int Sent() const { return static_cast<int>(crashed_.size()) - 1; }

  testing::SharedMemory<DoorShared> door_;
};

TEST_F(ServerDoorTest, CountsEachCrashOnce) {
  Begin();
  RepeatUntilAtDoor();
  Repeat(50);
  Stop();
  EXPECT_EQ(AllRepeats(), Sent());
  EXPECT_EQ(Metric("obit_crashes_repeated_total"), Sent());
}

TEST_F(ServerDoorTest, ComesAgainWhenTheLoopDoes) {
  Begin();
  RepeatUntilAtDoor();
  // Left alone he leaves, and the manager sees to the door.
  ::poll(nullptr, 0, 250);
  Repeat(2);
  RepeatUntilAtDoor();
  Stop();
  EXPECT_EQ(AllRepeats(), Sent());
}

TEST_F(ServerDoorTest, WhoIsKilledThereLosesNothing) {
  Begin();
  for (int i = 0; i < 3; ++i) {
    RepeatUntilAtDoor();
    const Fd keeper = *OpenPidfd(door_->keeper);
    KillProcess(keeper);
    ASSERT_TRUE(Until([&] { return HasExited(keeper); }));
    Repeat(3);
  }
  Stop();
  EXPECT_EQ(AllRepeats(), Sent());
}

TEST_F(ServerDoorTest, WhoDoesNotMoveIsKilledAndHisCrashRecorded) {
  limits_ = [](ManagerLimits& limits) {
    limits.site = 500ms;
    limits.safe = limits.risky = 10s;
  };
  Begin();
  RepeatUntilAtDoor();
  door_->hangs = true;
  const int before = door_->glances;
  while (door_->glances == before) {  // until one is in his hand
    Crash(Rejected);
    const Fd pidfd = *OpenPidfd(crashed_.back().pid());
    ASSERT_TRUE(Until([&] { return door_->glances > before || HasExited(pidfd); }));
  }
  const std::size_t in_hand = crashed_.size() - 1;
  const pid_t pid = crashed_[in_hand].pid();
  // Others come to the manager meanwhile, for as long as he is there.
  while (!HasSaid("does not move at the door")) {
    Crash(Rejected);
    EXPECT_EQ(AnswerTo(crashed_.size() - 1), kCoredumpReject);
  }
  EXPECT_NE(AnswerTo(in_hand), kCoredumpReject) << "it is let go";
  door_->hangs = false;
  const auto records = AllRecords(2);
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_EQ(records[1].process.pid, pid);
  EXPECT_EQ(records[1].capture.outcome, CrashOutcome::kFailed);
  EXPECT_EQ(AllRepeats(), Sent() - 1);
}

TEST_F(ServerDoorTest, TheManagersSuccessorKnowsWhatWasCounted) {
  Begin();
  RepeatUntilAtDoor();
  Repeat(5);
  const auto manager = Processes("obitd-manager");
  Signal("obitd-manager", SIGKILL);
  ASSERT_TRUE(Until([&] {
    const auto now = Processes("obitd-manager");
    return !now.empty() && now != manager;
  }));
  RepeatUntilAtDoor();
  Stop();
  EXPECT_EQ(AllRepeats(), Sent());
}

TEST_F(ServerDoorTest, SoDoesTheNextServer) {
  Begin();
  RepeatUntilAtDoor();
  Repeat(5);
  Kill();
  Start();
  Repeat(3);
  Stop();
  EXPECT_EQ(AllRepeats(), Sent());
}

/// Crashes of other places, so that whoever is at the door leads them on.
class ServerPassageTest : public ServerDoorTest {
 protected:
  /// So many that come at once.
  void CrashElsewhere(int times) {
    door_->elsewhere = true;
    for (int i = 0; i < times; ++i) Crash(Rejected);
    ASSERT_TRUE(Until([&] { return shared_->connected == static_cast<int>(crashed_.size()); }));
  }
  /// Records of the others and crashes that are counted as lost.
  [[nodiscard]] int Accounted() const {
    return AllRepeats() + static_cast<int>(RecordsThere()) - 1 +
           static_cast<int>(Metric("obit_crashes_lost_total"));
  }
};

TEST_F(ServerPassageTest, LosesNothingWhenTheManagerDies) {
  Begin();
  for (int i = 0; i < 3; ++i) {
    door_->elsewhere = false;
    RepeatUntilAtDoor();
    const auto manager = Processes("obitd-manager");
    CrashElsewhere(20);
    Signal("obitd-manager", SIGKILL);
    ASSERT_TRUE(Until([&] {
      const auto now = Processes("obitd-manager");
      return !now.empty() && now != manager;
    }));
    for (std::size_t crash = 0; crash < crashed_.size(); ++crash)
      if (crashed_[crash].pid() > 0) (void)AnswerTo(crash);
  }
  EXPECT_TRUE(Until([&] { return Accounted() == Sent(); }));
  Stop();
  EXPECT_EQ(Accounted(), Sent());
}

TEST_F(ServerPassageTest, LosesNothingWhenItStops) {
  Begin();
  RepeatUntilAtDoor();
  CrashElsewhere(20);
  Stop();
  for (std::size_t crash = 0; crash < crashed_.size(); ++crash)
    if (crashed_[crash].pid() > 0) (void)AnswerTo(crash);
  EXPECT_EQ(Accounted(), Sent());
}

}  // namespace
}  // namespace obit
