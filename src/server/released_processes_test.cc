#include "server/released_processes.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "kernel/pidfd.h"

namespace obit {
namespace {

using namespace std::chrono_literals;

/// A process that stays until it is killed.
pid_t Stuck() {
  const pid_t child = ::fork();
  if (child == 0)
    for (;;) ::pause();
  return child;
}

int StatusOf(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(ReleasedProcesses, KillsOneThatStays) {
  EventLoop loop = *EventLoop::Create();
  ReleasedProcesses processes(loop);
  const pid_t child = Stuck();
  processes.Watch(*OpenPidfd(child), "child");
  int status = 0;
  const EventSource death = *loop.OnChild(child, [&](int how) {
    status = how;
    loop.Stop();
  });
  const EventSource bound = *loop.After(20s, [&] {
    ADD_FAILURE() << "it stayed";
    loop.Stop();
  });
  ASSERT_TRUE(loop.Run());
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(ReleasedProcesses, KillsThoseThatAreLeftAtTheEnd) {
  EventLoop loop = *EventLoop::Create();
  const pid_t child = Stuck();
  {
    ReleasedProcesses processes(loop);
    processes.Watch(*OpenPidfd(child), "child");
  }
  const int status = StatusOf(child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(ReleasedProcesses, ForgetsOneThatExits) {
  EventLoop loop = *EventLoop::Create();
  ReleasedProcesses processes(loop);
  const pid_t child = Stuck();
  const Fd pidfd = *OpenPidfd(child);
  EXPECT_FALSE(HasExited(pidfd));
  processes.Watch(*OpenPidfd(child), "child");
  ::kill(child, SIGTERM);
  EXPECT_EQ(WTERMSIG(StatusOf(child)), SIGTERM);
  EXPECT_TRUE(HasExited(pidfd));
  const EventSource end = *loop.After(1ms, [&] { loop.Stop(); });
  ASSERT_TRUE(loop.Run());
  processes.Watch({}, "nobody");
}

}  // namespace
}  // namespace obit
