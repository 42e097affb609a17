#include <csignal>
#include <optional>
#include <thread>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/test_support.h"
#include "base/unix_socket.h"
#include "process/descriptors.h"
#include "server/messages.h"
#include "server/role.h"
#include "server/role_process.h"

namespace obit {
namespace {

using testing::Child;
using testing::Succeeds;

constexpr int kBound = 20'000;  // ms; it only ends a test that has failed

/// A pipe and where a pump moves it to. The pump has the other ends, alone.
struct Line {
  Fd writer;    ///< the crashing process
  Fd receiver;  ///< the worker
};

class PumpTest : public ::testing::Test {
 protected:
  PumpTest() {
    ::signal(SIGPIPE, SIG_IGN);
    SocketPair pair = *MakeSocketPair(SOCK_SEQPACKET);
    manager_ = std::move(pair.first);
    const pid_t parent = ::getpid();
    pump_.emplace(::fork());
    if (pump_->pid() != 0) return;
    BecomeChild("obitd-pump", parent);
    KeepOnly({{&pair.second}});
    RunPump({.manager = std::move(pair.second)});
  }
  Line Connect() const {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    const Fd read_end(pipe[0]);
    SocketPair pair = *MakeSocketPair(SOCK_STREAM);
    const PumpJob job{.crash = 7};
    const std::array<int, 2> fds{read_end.get(), pair.second.get()};
    EXPECT_THAT(SendMessage(manager_, std::as_bytes(std::span(&job, 1)), fds), Succeeds());
    return {Fd(pipe[1]), std::move(pair.first)};
  }
  /// The process that writes to a pipe which nobody reads is free.
  static bool IsFreed(const Line& line) {
    pollfd watched{line.writer.get(), 0, 0};
    return ::poll(&watched, 1, kBound) == 1 && (watched.revents & POLLERR) != 0;
  }
  static bool Receives(const Line& line) {
    pollfd watched{line.receiver.get(), POLLIN, 0};
    return ::poll(&watched, 1, kBound) == 1;
  }
  /// Writes until nobody makes room any more.
  static void Fill(const Line& line) {
    ::fcntl(line.writer.get(), F_SETFL, O_NONBLOCK);
    const std::vector<std::byte> page(4096, std::byte{1});
    int socket_has = 0, had = 0;
    while (socket_has == 0 || socket_has != had) {
      while (::write(line.writer.get(), page.data(), page.size()) > 0) {
      }
      // The pump has what fits into the socket: that stands still, and the pipe is full.
      had = socket_has;
      pollfd writable{line.writer.get(), POLLOUT, 0};
      (void)::poll(&writable, 1, 100);
      ::ioctl(line.receiver.get(), FIONREAD, &socket_has);
    }
  }

  Fd manager_;
  std::optional<Child> pump_;
};

TEST_F(PumpTest, MovesAllAndEndsTheSocketWithThePipe) {
  for (const std::size_t size : {std::size_t{3 << 20}, std::size_t{0}, std::size_t{1}}) {
    Line line = Connect();
    std::vector<std::byte> sent(size), got(size + 1);
    for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<std::byte>(i * 7 + i / 4096);
    std::jthread process([&] {
      EXPECT_THAT(WriteAll(line.writer, sent), Succeeds());
      line.writer.Reset();
    });
    ASSERT_EQ(*ReadFull(line.receiver, got), size);
    got.resize(size);
    EXPECT_TRUE(got == sent);
  }
}

TEST_F(PumpTest, FreesTheProcessOnceNobodyWantsIt) {
  const Line closed = Connect();
  ASSERT_THAT(WriteAll(closed.writer, "some"), Succeeds());
  ASSERT_TRUE(Receives(closed));
  ::shutdown(closed.receiver.get(), SHUT_RDWR);  // and the pipe is silent
  EXPECT_TRUE(IsFreed(closed));

  Line gone = Connect();
  gone.receiver.Reset();
  EXPECT_TRUE(IsFreed(gone));
}

TEST_F(PumpTest, FreesTheProcessWhileTheSocketIsFull) {
  const Line line = Connect();
  Fill(line);
  ::shutdown(line.receiver.get(), SHUT_RDWR);
  EXPECT_TRUE(IsFreed(line));
}

TEST_F(PumpTest, GoesOnWhenThereIsRoomAgain) {
  Line line = Connect();
  Fill(line);
  line.writer.Reset();
  std::vector<std::byte> room(1 << 16);
  std::size_t all = 0;
  for (std::size_t n = 1; n > 0; all += n) n = *ReadFull(line.receiver, room);
  EXPECT_GT(all, 65536U) << "what was in the socket, and the pipe";
}

TEST_F(PumpTest, LeavesThePipeUnlockedWhileTheSocketIsFull) {
  const Line line = Connect();
  Fill(line);
  int in_pipe = 0;  // asked with the lock of the pipe
  EXPECT_EQ(::ioctl(line.writer.get(), FIONREAD, &in_pipe), 0);
  EXPECT_GT(in_pipe, 0);
}

TEST_F(PumpTest, EndsWithItsManager) {
  const Line line = Connect();
  ASSERT_THAT(WriteAll(line.writer, "some"), Succeeds());
  ASSERT_TRUE(Receives(line));
  manager_.Reset();
  EXPECT_TRUE(IsFreed(line));
  EXPECT_EQ(pump_->Wait(), 0);
}

TEST_F(PumpTest, EndsWithItsManagerWhenThereIsNothingToDo) {
  manager_.Reset();
  EXPECT_EQ(pump_->Wait(), 0);
}

TEST_F(PumpTest, FreesTheProcessWhenItIsKilled) {
  const Line line = Connect();
  ASSERT_THAT(WriteAll(line.writer, "some"), Succeeds());
  ASSERT_TRUE(Receives(line));
  ::kill(pump_->pid(), SIGKILL);
  EXPECT_TRUE(IsFreed(line));
}

TEST_F(PumpTest, DropsAJobThatIsNone) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const PumpJob job{.crash = 7};
  ASSERT_THAT(SendMessage(manager_, std::as_bytes(std::span(&job, 1)), std::span(pipe).first(1)), Succeeds());
  Fd(pipe[0]).Reset();
  EXPECT_TRUE(IsFreed({Fd(pipe[1]), Fd()}));
  Line line = Connect();
  ASSERT_THAT(WriteAll(line.writer, "some"), Succeeds());
  EXPECT_TRUE(Receives(line));
}

}  // namespace
}  // namespace obit
