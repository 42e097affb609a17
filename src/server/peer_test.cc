#include "server/peer.h"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/test_support.h"
#include "base/unix_socket.h"
#include "kernel/version.h"

namespace obit {
namespace {

using testing::Child;
using testing::ExecuteStopped;
using testing::FailsWith;
using testing::Succeeds;

/// Its reading and its writing end.
std::pair<Fd, Fd> MakePipe() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

KernelVersion Running() { return ParseKernelVersion(KernelRelease()).value(); }

TEST(KernelPeers, KnowAConnectionThatIsNotOfTheKernel) {
  if (Running() < KernelVersion{6, 13}) GTEST_SKIP() << "needs Linux 6.13";
  const testing::TemporaryFolder folder;
  const auto listener = ListenUnix(folder / "s", SOCK_STREAM, 1);
  const auto client = ConnectUnix(folder / "s", SOCK_STREAM);
  ASSERT_THAT(client, Succeeds());
  const Fd accepted(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_THAT(KernelPeers().connected(accepted), FailsWith(EPERM));
  EXPECT_THAT(KernelPeers().connected(*Open("/dev/null", O_RDONLY)), FailsWith(ENOTSOCK));
}

TEST(KernelPeers, RefuseAPidfdOfAProcessThatDumpsNothing) {
  if (Running() < kFirstWithSocket) GTEST_SKIP() << "the kernel does not tell";
  const Child child = ExecuteStopped("/bin/sleep", {"sleep", "600"});
  EXPECT_THAT(KernelPeers().piped(*OpenPidfd(child.pid()), child.pid(), Fd()), FailsWith(EPERM));
}

TEST(KernelPeers, TakeAPidAloneForRootOnly) {
  const Child child = ExecuteStopped("/bin/sleep", {"sleep", "600"});
  auto [pipe, end] = MakePipe();
  end.Reset();  // the process is gone: its pid may be another's
  const auto peer = KernelPeers().piped(Fd(), child.pid(), pipe);
  ASSERT_THAT(peer, Succeeds());
  EXPECT_TRUE(peer->pidfd);
  EXPECT_EQ(peer->info.pid, child.pid());
  EXPECT_EQ(peer->info.dump_mode, DumpMode::kRoot);
  EXPECT_FALSE(peer->named_by_kernel);
  if (Running() >= KernelVersion{6, 13}) {
    EXPECT_EQ(peer->info.uid, ::getuid());
    EXPECT_EQ(peer->share, ::getuid());
  }
  const auto gone = KernelPeers().piped(Fd(), INT32_MAX, pipe);  // above the largest pid that Linux gives
  ASSERT_THAT(gone, Succeeds());
  EXPECT_FALSE(gone->pidfd);
  EXPECT_FALSE(gone->named_by_kernel);
  EXPECT_EQ(gone->info.pid, INT32_MAX);
  EXPECT_EQ(gone->info.dump_mode, DumpMode::kRoot);
}

TEST(KernelPeers, BelieveAPidThatIsStillTaken) {
  const Child child = ExecuteStopped("/bin/sleep", {"sleep", "600"});
  auto [pipe, end] = MakePipe();
  for (const bool has_data : {false, true}) {
    if (has_data) ASSERT_EQ(::write(end.get(), "x", 1), 1);
    const auto peer = KernelPeers().piped(Fd(), child.pid(), pipe);
    ASSERT_THAT(peer, Succeeds());
    EXPECT_TRUE(peer->named_by_kernel) << "who dumps has the other end";
    EXPECT_NE(peer->info.dump_mode, DumpMode::kRoot);
  }
  EXPECT_FALSE(KernelPeers().piped(Fd(), child.pid(), Fd())->named_by_kernel) << "no pipe says nothing";
}

}  // namespace
}  // namespace obit
