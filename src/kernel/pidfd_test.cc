#include "kernel/pidfd.h"

#include "base/io.h"
#include "base/test_support.h"
#include "base/unix_socket.h"
#include "kernel/version.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using testing::Succeeds;

constexpr KernelVersion kFirstWithInfo{6, 13};

KernelVersion Running() { return ParseKernelVersion(KernelRelease()).value(); }

Child Sleeper() { return testing::ExecuteStopped("/bin/sleep", {"sleep", "600"}); }

TEST(GetPidfdInfo, SaysThatALiveProcessHasNotDumpedCore) {
  const Child child = Sleeper();
  const auto pidfd = OpenPidfd(child.pid());
  ASSERT_THAT(pidfd, Succeeds());
  const auto info = GetPidfdInfo(*pidfd);
  if (Running() < kFirstWithInfo) {
    EXPECT_FALSE(info);
    return;
  }
  ASSERT_THAT(info, Succeeds());
  EXPECT_EQ(info->pid, child.pid());
  EXPECT_EQ(info->coredump_known, Running() >= kFirstWithSocket);
  EXPECT_FALSE(info->coredumped);
}

TEST(GetPidfdInfo, TellsTheRealUserOfAProcessThatIsThere) {
  if (Running() < kFirstWithInfo) GTEST_SKIP() << "needs Linux 6.13";
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]), writer(ends[1]);
  const bool is_root = ::geteuid() == 0;
  Child child(::fork());
  if (child.pid() == 0) {
    const bool changed = !is_root || ::setresuid(21, 22, 23) == 0;
    (void)!::write(writer.get(), changed ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char changed = 0;
  ASSERT_EQ(::read(reader.get(), &changed, 1), 1);
  ASSERT_EQ(changed, 'y');
  const auto pidfd = OpenPidfd(child.pid());
  ASSERT_THAT(pidfd, Succeeds());
  const auto info = GetPidfdInfo(*pidfd);
  ASSERT_THAT(info, Succeeds());
  EXPECT_EQ(info->uid, is_root ? 21 : ::getuid());
  EXPECT_EQ(info->one_identity, !is_root);
  ::kill(child.pid(), SIGKILL);
  child.Wait();
  const auto gone = GetPidfdInfo(*pidfd);
  EXPECT_FALSE(gone && gone->uid);
}

TEST(GetPidfdInfo, TellsWhatAProcessSharesWithOthersOfItsUser) {
  if (Running() < kFirstWithInfo) GTEST_SKIP() << "needs Linux 6.13";
  const Child child = Sleeper();
  const auto info = GetPidfdInfo(*OpenPidfd(child.pid())), own = GetPidfdInfo(*OpenPidfd(::getpid()));
  ASSERT_THAT(info, Succeeds());
  ASSERT_THAT(own, Succeeds());
  EXPECT_TRUE(info->one_identity);
  EXPECT_NE(info->cgroup, 0u);
  EXPECT_EQ(info->cgroup, own->cgroup);
}

TEST(GetPidfdInfo, SaysThatAConnectedProcessIsNotTheKernel) {
  const testing::TemporaryFolder folder;
  const auto listener = ListenUnix(folder / "s", SOCK_STREAM, 1);
  const auto client = ConnectUnix(folder / "s", SOCK_STREAM);
  ASSERT_THAT(client, Succeeds());
  const Fd accepted(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted);
  const auto peer = PeerPidfd(accepted);
  if (Running() < KernelVersion{6, 5}) {
    EXPECT_THAT(peer, FailsWith(ENOPROTOOPT));
    return;
  }
  ASSERT_THAT(peer, Succeeds());
  EXPECT_TRUE(StillNamed(*peer));
  if (Running() < kFirstWithInfo) return;
  const auto info = GetPidfdInfo(*peer);
  ASSERT_THAT(info, Succeeds());
  EXPECT_EQ(info->pid, ::getpid());
  EXPECT_FALSE(info->coredumped);
}

TEST(GetPidfdInfo, FailsForWhatIsNoPidfd) {
  const auto file = Open("/dev/null", O_RDONLY);
  EXPECT_FALSE(GetPidfdInfo(*file));
  EXPECT_THAT(GetPidfdInfo(Fd()), FailsWith(EBADF));
}

TEST(PeerPidfd, NeedsASocket) {
  const auto file = Open("/dev/null", O_RDONLY);
  EXPECT_THAT(PeerPidfd(*file), FailsWith(ENOTSOCK));
}

TEST(OpenPidfd, FailsForNoProcess) {
  EXPECT_THAT(OpenPidfd(-1), FailsWith(EINVAL));
  EXPECT_THAT(OpenPidfd(INT32_MAX), FailsWith(ESRCH));  // above the largest pid that Linux gives
}

TEST(StillNamed, IsTrueUntilTheProcessIsReaped) {
  Child child = Sleeper();
  const auto pidfd = OpenPidfd(child.pid());
  ASSERT_THAT(pidfd, Succeeds());
  EXPECT_TRUE(StillNamed(*pidfd));
  ::kill(child.pid(), SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, child.pid(), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(StillNamed(*pidfd));  // a zombie keeps its pid
  child.Wait();
  EXPECT_FALSE(StillNamed(*pidfd));
}

}  // namespace
}  // namespace obit
