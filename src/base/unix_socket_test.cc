#include "base/unix_socket.h"

#include <array>

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/test_limits.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::BytesOf;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;
using testing::TextOf;

bool IsSocket(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode);
}

struct Pipe {
  Fd reader, writer;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) reader = Fd(ends[0]), writer = Fd(ends[1]);
  }
  [[nodiscard]] bool WriterClosed() const {
    char c;
    return ::read(reader.get(), &c, 1) == 0;
  }
};

TEST(ListenUnix, MakesASocketForItsOwnerOnly) {
  const TemporaryFolder folder;
  const auto listener = ListenUnix(folder / "s", SOCK_STREAM, 4);
  ASSERT_THAT(listener, Succeeds());
  struct stat found{};
  ASSERT_EQ(::lstat((folder / "s").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode, S_IFSOCK | 0600u);
  EXPECT_EQ(::fcntl(listener->get(), F_GETFD), FD_CLOEXEC);
  EXPECT_NE(::fcntl(listener->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_THAT(ConnectUnix(folder / "s", SOCK_STREAM), Succeeds());
}

TEST(PathOf, IsWhereASocketIsBound) {
  const TemporaryFolder folder;
  const auto listener = ListenUnix(folder / "s", SOCK_SEQPACKET, 4);
  ASSERT_THAT(listener, Succeeds());
  EXPECT_EQ(PathOf(*listener).value_or(""), folder / "s");
  const std::string longest = folder / std::string(107 - std::string(folder / "").size(), 'x');
  const auto other = ListenUnix(longest, SOCK_STREAM, 4);
  ASSERT_THAT(other, Succeeds());
  EXPECT_EQ(PathOf(*other).value_or(""), longest);
  EXPECT_THAT(PathOf(MakeSocketPair(SOCK_STREAM)->first), FailsWith(EINVAL));
}

TEST(ListenUnix, ReplacesADeadSocket) {
  const TemporaryFolder folder;
  ASSERT_THAT(ListenUnix(folder / "s", SOCK_STREAM, 4), Succeeds());  // closed at once; the file stays
  ASSERT_TRUE(IsSocket(folder / "s"));
  EXPECT_THAT(ConnectUnix(folder / "s", SOCK_STREAM), FailsWith(ECONNREFUSED));
  EXPECT_THAT(ListenUnix(folder / "s", SOCK_STREAM, 4), Succeeds());
}

TEST(ListenUnix, LeavesALiveSocketAlone) {
  const TemporaryFolder folder;
  const auto first = ListenUnix(folder / "s", SOCK_STREAM, 4);
  ASSERT_THAT(first, Succeeds());
  EXPECT_THAT(ListenUnix(folder / "s", SOCK_STREAM, 4), FailsWith(EADDRINUSE));
  EXPECT_THAT(ConnectUnix(folder / "s", SOCK_STREAM), Succeeds());
}

TEST(ListenUnix, LeavesALiveSocketOfAnotherTypeAlone) {
  const TemporaryFolder folder;
  const auto first = ListenUnix(folder / "s", SOCK_SEQPACKET, 4);
  ASSERT_THAT(first, Succeeds());
  EXPECT_THAT(ListenUnix(folder / "s", SOCK_STREAM, 4), FailsWith(EADDRINUSE));
  EXPECT_THAT(ConnectUnix(folder / "s", SOCK_SEQPACKET), Succeeds());
}

TEST(ListenUnix, LeavesALiveSocketWithAFullBacklogAlone) {
  const TemporaryFolder folder;
  const auto first = ListenUnix(folder / "s", SOCK_STREAM, 0);
  const auto waiting = ConnectUnix(folder / "s", SOCK_STREAM);
  ASSERT_THAT(waiting, Succeeds());
  EXPECT_THAT(ConnectUnix(folder / "s", SOCK_STREAM), FailsWith(EAGAIN));
  EXPECT_THAT(ListenUnix(folder / "s", SOCK_STREAM, 4), FailsWith(EADDRINUSE));
}

TEST(ListenUnix, LeavesAFileAlone) {
  const TemporaryFolder folder;
  ASSERT_THAT(WriteFileAtomically(folder.fd(), "s", "precious", 0600), Succeeds());
  EXPECT_THAT(ListenUnix(folder / "s", SOCK_STREAM, 4), FailsWith(EEXIST));
  EXPECT_EQ(ReadFileAt(folder.fd(), "s", 100)->text, "precious");
}

TEST(ListenUnix, LeavesASymlinkAlone) {
  const TemporaryFolder folder;
  ASSERT_EQ(::symlinkat("nowhere", folder.fd().get(), "s"), 0);
  EXPECT_THAT(ListenUnix(folder / "s", SOCK_STREAM, 4), FailsWith(EEXIST));
  EXPECT_EQ(ReadLinkAt(folder.fd(), "s").value(), "nowhere");
}

TEST(ListenUnix, FailsWithoutTheFolder) {
  EXPECT_THAT(ListenUnix("/nonexistent/s", SOCK_STREAM, 4), FailsWith(ENOENT));
}

TEST(ListenUnix, TakesPathsOf107Bytes) {
  const TemporaryFolder folder;
  const std::string path = folder / std::string(107 - folder.path().size() - 1, 'x');
  EXPECT_THAT(ListenUnix(path, SOCK_STREAM, 4), Succeeds());
  EXPECT_TRUE(IsSocket(path));
  EXPECT_THAT(ListenUnix(path + "x", SOCK_STREAM, 4), FailsWith(ENAMETOOLONG));
  EXPECT_THAT(ConnectUnix(path + "x", SOCK_STREAM), FailsWith(ENAMETOOLONG));
}

TEST(ConnectUnix, RefusesTheEmptyPath) {  // which would be an abstract address
  EXPECT_THAT(ConnectUnix("", SOCK_STREAM), FailsWith(ENAMETOOLONG));
}

TEST(ConnectUnix, FailsWhereNobodyListens) {
  EXPECT_THAT(ConnectUnix("/nonexistent/s", SOCK_STREAM), FailsWith(ENOENT));
}

TEST(SendMessage, CarriesBytesAndDescriptors) {
  const auto pair = MakeSocketPair(SOCK_SEQPACKET);
  ASSERT_THAT(pair, Succeeds());
  Pipe pipe;
  const std::array fds{pipe.writer.get()};
  ASSERT_THAT(SendMessage(pair->first, BytesOf("hello"), fds), Succeeds());
  EXPECT_TRUE(pipe.writer);
  pipe.writer.Reset();
  {
    const auto message = ReceiveMessage(pair->second, 100, 0);
    ASSERT_THAT(message, Succeeds());
    EXPECT_EQ(TextOf(message->bytes), "hello");
    ASSERT_EQ(message->fds.size(), 1u);
    EXPECT_EQ(::fcntl(message->fds[0].get(), F_GETFD), FD_CLOEXEC);
    EXPECT_THAT(WriteAll(message->fds[0], "x"), Succeeds());
    char c;
    EXPECT_EQ(::read(pipe.reader.get(), &c, 1), 1);
    EXPECT_FALSE(pipe.WriterClosed());
  }
  EXPECT_TRUE(pipe.WriterClosed());
}

TEST(SendMessage, CarriesAsManyDescriptorsAsItPromises) {
  if (!testing::AllowDescriptors(2 * kMaxPassedFds)) GTEST_SKIP() << "RLIMIT_NOFILE is lower";
  const auto pair = MakeSocketPair(SOCK_SEQPACKET);
  const std::vector<int> fds(kMaxPassedFds, 0);
  ASSERT_THAT(SendMessage(pair->first, BytesOf("x"), fds), Succeeds());
  const auto message = ReceiveMessage(pair->second, 1, 0);
  ASSERT_THAT(message, Succeeds());
  EXPECT_EQ(message->fds.size(), kMaxPassedFds);
}

TEST(SendMessage, RefusesMore) {
  const auto pair = MakeSocketPair(SOCK_SEQPACKET);
  const std::vector<int> fds(kMaxPassedFds + 1, 0);
  EXPECT_THAT(SendMessage(pair->first, BytesOf("x"), fds), FailsWith(EINVAL));
  EXPECT_THAT(ReceiveMessage(pair->second, 1, MSG_DONTWAIT), FailsWith(EAGAIN));
}

TEST(SendMessage, FailsWithoutASignalWhenThePeerIsGone) {
  auto pair = MakeSocketPair(SOCK_STREAM);
  pair->second.Reset();
  EXPECT_THAT(SendMessage(pair->first, BytesOf("x"), {}), FailsWith(EPIPE));
}

TEST(ReceiveMessage, RefusesALongerMessageAndClosesWhatCameWithIt) {
  const auto pair = MakeSocketPair(SOCK_SEQPACKET);
  Pipe pipe;
  const std::array fds{pipe.writer.get()};
  ASSERT_THAT(SendMessage(pair->first, BytesOf("four"), fds), Succeeds());
  pipe.writer.Reset();
  EXPECT_THAT(ReceiveMessage(pair->second, 3, 0), FailsWith(EMSGSIZE));
  EXPECT_TRUE(pipe.WriterClosed());
}

TEST(ReceiveMessage, RefusesTooManyDescriptorsAndClosesThem) {
  const auto pair = MakeSocketPair(SOCK_SEQPACKET);
  Pipe pipe;
  // By hand, as a peer would that does not keep to the limit.
  std::array<int, kMaxPassedFds + 3> fds;
  fds.fill(pipe.writer.get());
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(rights), fds.data(), sizeof fds);
  ASSERT_EQ(::sendmsg(pair->first.get(), &header, 0), 1);
  pipe.writer.Reset();
  EXPECT_THAT(ReceiveMessage(pair->second, 10, 0), FailsWith(EMSGSIZE));
  EXPECT_TRUE(pipe.WriterClosed());
}

TEST(ReceiveMessage, TakesTheBytesWhereDescriptorsDoNotFit) {
  const auto pair = MakeSocketPair(SOCK_SEQPACKET);
  Pipe pipe;
  const std::array fds{pipe.writer.get()};
  ASSERT_THAT(SendMessage(pair->first, BytesOf("first"), fds), Succeeds());
  ASSERT_THAT(SendMessage(pair->first, BytesOf("second"), fds), Succeeds());
  pipe.writer.Reset();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto first = ReceiveMessage(pair->second, 100, 0);
  const auto second = ReceiveMessage(pair->second, 100, 0, LostFds::kTell);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_THAT(first, FailsWith(EMSGSIZE));
  ASSERT_THAT(second, Succeeds());
  EXPECT_EQ(TextOf(second->bytes), "second");
  EXPECT_TRUE(second->lost_fds);
  EXPECT_TRUE(second->fds.empty());
  EXPECT_TRUE(pipe.WriterClosed());
}

TEST(ReceiveMessage, IsEmptyAtTheEnd) {
  auto pair = MakeSocketPair(SOCK_SEQPACKET);
  pair->first.Reset();
  const auto message = ReceiveMessage(pair->second, 10, 0);
  ASSERT_THAT(message, Succeeds());
  EXPECT_TRUE(message->bytes.empty());
  EXPECT_TRUE(message->fds.empty());
}

TEST(PeerCredentials, AreThoseOfTheOtherEnd) {
  const auto pair = MakeSocketPair(SOCK_STREAM);
  const auto peer = PeerCredentials(pair->first);
  ASSERT_THAT(peer, Succeeds());
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->uid, ::geteuid());
}

TEST(PeerCredentials, NeedASocket) {
  const auto file = Open("/dev/null", O_RDONLY);
  EXPECT_THAT(PeerCredentials(*file), FailsWith(ENOTSOCK));
}

}  // namespace
}  // namespace obit
