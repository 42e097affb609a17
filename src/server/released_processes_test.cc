#include "server/released_processes.h"

#include <csignal>
#include <map>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace obit {
namespace {

using namespace std::chrono_literals;

constexpr ReleasedProcesses::Patience kQuick{.look = 1ms, .looks = 5};

class ReleasedProcessesTest : public ::testing::Test {
 protected:
  ReleasedProcessesTest() : loop_(*EventLoop::Create()) {}
  ~ReleasedProcessesTest() override {
    for (const pid_t child : children_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }

  /// A process that stays until it is killed.
  pid_t Stuck() {
    const pid_t child = ::fork();
    if (child == 0)
      for (;;) ::pause();
    children_.push_back(child);
    return child;
  }
  static Peer PeerOf(pid_t child) { return {*OpenPidfd(child), {.pid = child}, child}; }
  int StatusOf(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    std::erase(children_, child);
    return status;
  }
  [[nodiscard]] static bool Lives(pid_t child) { return !HasExited(*OpenPidfd(child)); }
  /// Runs the loop until it is stopped. The bound only ends a test that has failed.
  void Run() {
    const EventSource bound = *loop_.After(20s, [this] {
      ADD_FAILURE() << "it did not get there";
      loop_.Stop();
    });
    ASSERT_TRUE(loop_.Run());
  }
  /// For each process: 0, and one more with each look, until it was looked at as often as `works_` says.
  ReleasedProcesses::Meter Meter() {
    return [this](const Peer& peer) -> Result<Activity> {
      const int looks = looks_[peer.info.pid]++;
      if (on_look_) on_look_(looks);
      return Activity{static_cast<std::uint64_t>(std::min(looks, works_)), runs_};
    };
  }

  EventLoop loop_;
  std::vector<pid_t> children_;
  std::map<pid_t, int> looks_;
  int works_ = 0;
  bool runs_ = false;
  std::function<void(int)> on_look_;
};

TEST_F(ReleasedProcessesTest, KillsOneThatDoesNothing) {
  ReleasedProcesses processes(loop_, Meter(), kQuick);
  const pid_t child = Stuck();
  processes.Watch(PeerOf(child), "child");
  const Fd pidfd = *OpenPidfd(child);
  const EventSource death = *loop_.OnReadable(pidfd, [&] { loop_.Stop(); });
  Run();
  EXPECT_EQ(looks_[child], 1 + 5);
  const int status = StatusOf(child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(ReleasedProcessesTest, LeavesOneAloneAsLongAsItWorks) {
  works_ = 10;
  ReleasedProcesses processes(loop_, Meter(), kQuick);
  const pid_t child = Stuck();
  on_look_ = [&](int looks) {
    if (looks == works_) {
      EXPECT_TRUE(Lives(child));
    }
  };
  processes.Watch(PeerOf(child), "child");
  const Fd pidfd = *OpenPidfd(child);
  const EventSource death = *loop_.OnReadable(pidfd, [&] { loop_.Stop(); });
  Run();
  EXPECT_EQ(looks_[child], 1 + 10 + 5) << "and then only so long";
}

TEST_F(ReleasedProcessesTest, CountsOnlyLooksInARow) {
  const auto works_now_and_then = [this](const Peer& peer) -> Result<Activity> {
    const int looks = looks_[peer.info.pid]++;
    if (looks == 12) loop_.Stop();
    return Activity{static_cast<std::uint64_t>(looks / 4)};
  };
  ReleasedProcesses processes(loop_, works_now_and_then, kQuick);
  const pid_t child = Stuck();
  processes.Watch(PeerOf(child), "child");
  Run();
  EXPECT_TRUE(Lives(child));
}

TEST_F(ReleasedProcessesTest, KillsThoseThatDoNothingAtTheEnd) {
  const pid_t child = Stuck();
  {
    ReleasedProcesses(loop_, Meter(), kQuick).Watch(PeerOf(child), "child");
  }
  const int status = StatusOf(child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(ReleasedProcessesTest, LeavesThoseThatWorkAtTheEnd) {
  works_ = 1000;
  const pid_t child = Stuck();
  {
    ReleasedProcesses(loop_, Meter(), kQuick).Watch(PeerOf(child), "child");
  }
  EXPECT_EQ(looks_[child], 2) << "the end does not wait for them";
  EXPECT_TRUE(Lives(child));
}

TEST_F(ReleasedProcessesTest, LeavesThoseThatWaitForAProcessorAtTheEnd) {
  runs_ = true;
  const pid_t child = Stuck();
  {
    ReleasedProcesses(loop_, Meter(), kQuick).Watch(PeerOf(child), "child");
  }
  EXPECT_TRUE(Lives(child));
}

TEST_F(ReleasedProcessesTest, KillsOneOfWhichNothingIsKnown) {
  const pid_t child = Stuck();
  {
    ReleasedProcesses(
        loop_, [](const Peer&) { return Refuse(ESRCH, "gone"); }, kQuick)
        .Watch(PeerOf(child), "child");
  }
  const int status = StatusOf(child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(ReleasedProcessesTest, LetsThoseExitAtTheEndThatAreAboutTo) {
  const pid_t child = Stuck();
  on_look_ = [&](int looks) {
    if (looks == 1) ::kill(child, SIGTERM);
  };
  {
    ReleasedProcesses(loop_, Meter(), {.look = 20s, .looks = 5}).Watch(PeerOf(child), "child");
  }
  EXPECT_EQ(WTERMSIG(StatusOf(child)), SIGTERM);
}

TEST_F(ReleasedProcessesTest, ForgetsOneThatExits) {
  ReleasedProcesses processes(loop_, Meter(), kQuick);
  const pid_t child = Stuck();
  const Fd pidfd = *OpenPidfd(child);
  processes.Watch(PeerOf(child), "child");
  ::kill(child, SIGTERM);
  EXPECT_EQ(WTERMSIG(StatusOf(child)), SIGTERM);
  EXPECT_TRUE(HasExited(pidfd));
  works_ = 10;
  const pid_t other = Stuck();
  processes.Watch(PeerOf(other), "other");
  const Fd other_pidfd = *OpenPidfd(other);
  const EventSource end = *loop_.OnReadable(other_pidfd, [&] { loop_.Stop(); });
  Run();  // looks at the other one fifteen times
  EXPECT_LE(looks_[child], 2);
  processes.Watch({}, "nobody");
}

TEST_F(ReleasedProcessesTest, AProcessThatWorksIsSeenToWork) {
  auto inspector = KernelInspector::Create();
  ASSERT_TRUE(inspector);
  const pid_t child = ::fork();
  if (child == 0)
    for (volatile int i = 0;;) i = i + 1;
  children_.push_back(child);
  const Peer busy = PeerOf(child), idle = PeerOf(Stuck());
  while (inspector->ActivityOf(busy)->cpu_ticks < 3) ::sched_yield();
  EXPECT_TRUE(inspector->ActivityOf(busy)->runs);
  while (inspector->ActivityOf(idle)->runs) ::sched_yield();  // until it pauses
  ::kill(child, SIGKILL);
  (void)StatusOf(child);
  EXPECT_FALSE(inspector->ActivityOf(busy));
}

}  // namespace
}  // namespace obit
