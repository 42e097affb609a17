#include "kernel/pipe_handover.h"

#include <array>
#include <cerrno>
#include <future>

#include <poll.h>
#include <sys/socket.h>

#include "base/test_support.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

constexpr std::chrono::milliseconds kLong{60'000};
constexpr std::chrono::milliseconds kShort{1};

class HandOverTest : public ::testing::Test {
 protected:
  /// obitd, which has its own end of what the helper is told.
  Fd Accept() {
    pollfd ready{.fd = listener_->get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&ready, 1, -1), 1);
    Fd connection(::accept4(listener_->get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(connection);
    return connection;
  }
  std::future<Result<bool>> Helper(std::chrono::milliseconds patience) {
    return std::async(std::launch::async, [=, this] { return HandOver(socket_, message_, fds_, patience); });
  }
  void Receive(const Fd& connection) {
    const auto message = ReceiveMessage(connection, sizeof(PipeMessage), 0);
    ASSERT_THAT(message, Succeeds());
    const auto told = DecodePipeMessage(message->bytes, message->fds.size());
    ASSERT_THAT(told, Succeeds());
    EXPECT_EQ(told->pid, message_.pid);
  }

  TemporaryFolder folder_;
  std::string socket_ = folder_ / "s";
  Result<Fd> listener_ = ListenUnix(socket_, SOCK_SEQPACKET, 16);
  PipeMessage message_{.pid = 4711};
  std::array<int, 1> fds_{STDIN_FILENO};
};

TEST_F(HandOverTest, EndsWithTheAnswer) {
  auto helper = Helper(kLong);
  const Fd connection = Accept();
  Receive(connection);
  AnswerHandOver(connection);
  EXPECT_EQ(helper.get(), true);
}

TEST_F(HandOverTest, ComesAgainIfItsConnectionIsLost) {
  auto helper = Helper(kLong);
  Accept();           // whoever had it died before the message came, or with the message unread
  Receive(Accept());  // or had read it
  Fd connection = Accept();
  Receive(connection);
  AnswerHandOver(connection);
  connection.Reset();
  EXPECT_EQ(helper.get(), true);
}

TEST_F(HandOverTest, LeavesWhatIsNotAnsweredInTime) {
  EXPECT_EQ(Helper(kShort).get(), false);
  const Fd connection = Accept();
  Receive(connection);
  AnswerHandOver(connection);  // to nobody
}

TEST_F(HandOverTest, GivesUp) {
  auto helper = Helper(kLong);
  for (int i = 0; i < kHandOverTries; ++i) Accept();
  EXPECT_THAT(helper.get(), FailsWith(ECONNRESET));
}

TEST_F(HandOverTest, NeedsSomebodyWhoListens) {
  listener_->Reset();
  EXPECT_THAT(HandOver(socket_, message_, fds_), FailsWith(ECONNREFUSED));
  EXPECT_THAT(HandOver(folder_ / "none", message_, fds_), FailsWith(ENOENT));
}

TEST_F(HandOverTest, DoesNotWaitForAPlaceInTheBacklog) {
  auto full = ListenUnix(folder_ / "full", SOCK_SEQPACKET, 0);
  ASSERT_THAT(full, Succeeds());
  const auto first = ConnectUnix(folder_ / "full", SOCK_SEQPACKET);
  ASSERT_THAT(first, Succeeds());
  EXPECT_THAT(HandOver(folder_ / "full", message_, fds_), FailsWith(EAGAIN));
}

}  // namespace
}  // namespace obit
