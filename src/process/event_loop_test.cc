#include "process/event_loop.h"

#include <csignal>
#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

using namespace std::chrono_literals;

class EventLoopTest : public testing::Test {
 protected:
  /// The bound only ends a test that has failed.
  void RunToEnd() {
    const EventSource bound = *loop_.After(20s, [this] {
      ADD_FAILURE() << "nothing stopped the loop";
      loop_.Stop();
    });
    ASSERT_TRUE(loop_.Run());
  }
  EventLoop loop_ = *EventLoop::Create();
};

TEST_F(EventLoopTest, TellsOfEveryReadableByteAndOfTheEnd) {
  SocketPair pair = *MakeSocketPair(SOCK_STREAM);
  ASSERT_TRUE(WriteAll(pair.first, "ab"));
  pair.first.Reset();
  std::string read;
  const EventSource source = *loop_.OnReadable(pair.second, [&] {
    char byte = 0;
    if (::read(pair.second.get(), &byte, 1) == 1)
      read += byte;
    else
      loop_.Stop();
  });
  RunToEnd();
  EXPECT_EQ(read, "ab");
}

TEST_F(EventLoopTest, TimersComeOnceAndInOrder) {
  std::vector<int> order;
  const EventSource later = *loop_.After(2ms, [&] {
    order.push_back(2);
    loop_.Stop();
  });
  const EventSource sooner = *loop_.After(1ms, [&] { order.push_back(1); });
  RunToEnd();
  EXPECT_EQ(order, (std::vector{1, 2}));
}

TEST_F(EventLoopTest, ADroppedSourceIsSilent) {
  EventSource dropped = *loop_.After(0ns, [] { ADD_FAILURE() << "it was dropped"; });
  dropped = EventSource();
  const EventSource end = *loop_.After(1ms, [&] { loop_.Stop(); });
  RunToEnd();
}

TEST_F(EventLoopTest, ACallbackMayDropItself) {
  const auto content = std::make_shared<std::string>("still there");
  EventSource source;
  std::string seen;
  source = *loop_.After(0ns, [&, content] {
    source = EventSource();
    seen = *content;
    loop_.Stop();
  });
  RunToEnd();
  EXPECT_EQ(seen, "still there");
}

TEST_F(EventLoopTest, ReapsAChildAndTellsItsStatus) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(7);
  int told = -1;
  const EventSource source = *loop_.OnChild(child, [&](int status) {
    told = status;
    loop_.Stop();
  });
  RunToEnd();
  EXPECT_TRUE(WIFEXITED(told));
  EXPECT_EQ(WEXITSTATUS(told), 7);
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), -1) << "it is reaped";
}

TEST_F(EventLoopTest, TellsHowAChildWasKilled) {
  const pid_t child = ::fork();
  if (child == 0)
    for (;;) ::pause();
  int told = -1;
  const EventSource source = *loop_.OnChild(child, [&](int status) {
    told = status;
    loop_.Stop();
  });
  ::kill(child, SIGKILL);
  RunToEnd();
  EXPECT_TRUE(WIFSIGNALED(told));
  EXPECT_EQ(WTERMSIG(told), SIGKILL);
}

TEST_F(EventLoopTest, DeliversSignals) {
  int count = 0;
  const EventSource source = *loop_.OnSignal(SIGUSR1, [&] {
    if (++count == 2) loop_.Stop();
    if (count == 1) ::kill(::getpid(), SIGUSR1);
  });
  ::kill(::getpid(), SIGUSR1);
  RunToEnd();
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace obit
