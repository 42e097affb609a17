#include "server/visitors.h"

#include <optional>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test_support.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

class VisitorsTest : public ::testing::Test {
 protected:
  /// A connection of this process, which is root or the server's user. The other end is the last of `ends_`.
  Fd Connect() {
    SocketPair pair = *MakeSocketPair(SOCK_STREAM);
    ends_.push_back(std::move(pair.second));
    return std::move(pair.first);
  }
  /// The number of a visitor who came at `now`; nothing: he is none.
  std::optional<int> Receive(std::int64_t now) {
    Fd connection = Connect();
    const int fd = connection.get();
    const bool received = visitors_.Receive(connection, Error{EPERM, "not the kernel"}, now);
    EXPECT_NE(received, static_cast<bool>(connection)) << "it is kept exactly if he is received";
    return received ? std::optional(fd) : std::nullopt;
  }

  Visitors visitors_;
  std::vector<Fd> ends_;
};

TEST_F(VisitorsTest, GoWithoutAWord) {
  EXPECT_EQ(visitors_.NextDeadline(), INT64_MAX);
  const auto visitor = Receive(5);
  ASSERT_TRUE(visitor);
  EXPECT_EQ(visitors_.NextDeadline(), 5 + Visitors::kPatience);
  ends_.clear();
  EXPECT_THAT(visitors_.Leave(*visitor), Succeeds());
  EXPECT_EQ(visitors_.NextDeadline(), INT64_MAX);
}

TEST_F(VisitorsTest, WhoSaysSomethingIsAStranger) {
  const auto visitor = Receive(0);
  ASSERT_TRUE(visitor);
  ASSERT_EQ(::write(ends_[0].get(), "ELF", 3), 3);
  EXPECT_THAT(visitors_.Leave(*visitor), FailsWith(EPERM)) << "with the reason that was known before";
  EXPECT_THAT(visitors_.Leave(*visitor), Succeeds()) << "nobody is there any more";
}

TEST_F(VisitorsTest, WhoStaysTooLongIsAStranger) {
  const auto first = Receive(0), second = Receive(7);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(visitors_.Overdue(Visitors::kPatience - 1), std::nullopt);
  ASSERT_EQ(visitors_.Overdue(Visitors::kPatience), first);
  EXPECT_THAT(visitors_.Leave(*first), FailsWith(EPERM));
  EXPECT_EQ(visitors_.Overdue(Visitors::kPatience), std::nullopt);
  EXPECT_EQ(visitors_.NextDeadline(), 7 + Visitors::kPatience);
}

TEST_F(VisitorsTest, AreFew) {
  std::optional<int> last;
  for (std::size_t i = 0; i < Visitors::kMax; ++i) {
    last = Receive(0);
    ASSERT_TRUE(last);
  }
  EXPECT_FALSE(Receive(0));
  ends_[Visitors::kMax - 1].Reset();
  EXPECT_THAT(visitors_.Leave(*last), Succeeds());
  EXPECT_TRUE(Receive(0));
}

TEST_F(VisitorsTest, AreNotOfOtherUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const testing::TemporaryFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  const Fd listener = *ListenUnix(folder / "s", SOCK_STREAM, 1);
  ASSERT_EQ(::chmod((folder / "s").c_str(), 0666), 0);
  testing::Child stranger(::fork());
  if (stranger.pid() == 0) {
    if (::setresuid(61001, 61001, 61001) < 0) ::_exit(1);
    const auto connection = ConnectUnix(folder / "s", SOCK_STREAM);
    for (; connection;) ::pause();
    ::_exit(2);
  }
  pollfd ready{listener.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
  Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(connection);
  EXPECT_FALSE(visitors_.Receive(connection, Error{EPERM, "not the kernel"}, 0));
}

}  // namespace
}  // namespace obit
