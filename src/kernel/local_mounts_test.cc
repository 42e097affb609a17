#include "kernel/local_mounts.h"

#include <csignal>
#include <filesystem>

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

TEST(LocalMounts, AreKnownByTheTypeOfTheirFileSystem) {
  const auto mounts = LocalMounts::Parse(
      "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "23 22 0:5 / /dev\\040- rw - devtmpfs - ext4\n"
      "24 22 0:40 / /home/ann/a - fuse.sshfs ann@host: rw\n"
      "25 22 0:41 / /b rw - fuse.sshfs ext4 rw\n"
      "26 22 0:42 / /c rw,relatime - overlay overlay rw,lowerdir=/x\n"
      "nonsense - ext4 x\n27\n28 - \n29 22 0:43 / /d rw - tmpfs\n30 22 - ext4 x",
      {});
  for (const std::uint64_t local : {22, 29}) EXPECT_TRUE(mounts.Contains(local)) << local;
  for (const std::uint64_t other : {0, 23, 24, 25, 26, 27, 28, 30})
    EXPECT_FALSE(mounts.Contains(other)) << other;
}

TEST(LocalMounts, AreOfOverlaysThoseOfTheHost) {
  const auto host = LocalMounts::OverlaysIn(
      "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
      "90 22 0:42 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw,lowerdir=/x\n"
      "91 22 0:50 / /overlay rw - fuse.overlay overlay rw\n92 22 - overlay x");
  EXPECT_THAT(host, ::testing::ElementsAre("0:42"));
  const auto mounts = LocalMounts::Parse(
      "300 200 0:42 / / rw,relatime - overlay overlay rw,lowerdir=/x\n"
      "301 300 0:42 /etc/hosts /etc/hosts rw - overlay overlay rw,lowerdir=/x\n"
      "302 300 0:51 / /his rw - overlay overlay rw,lowerdir=/x\n"
      "303 300 0:4 / /his rw - overlay 0:42 rw,lowerdir=0:42\n"
      "304 300 0:50 / /his rw - overlay overlay rw\n",
      host);
  for (const std::uint64_t local : {300, 301}) EXPECT_TRUE(mounts.Contains(local)) << local;
  for (const std::uint64_t his : {302, 303, 304}) EXPECT_FALSE(mounts.Contains(his)) << his;
}

class OpenForReadingTest : public ::testing::Test {
 protected:
  OpenForReadingTest() {
    auto mounts = LocalMounts::Read(*Open("/proc/self", O_RDONLY | O_DIRECTORY));
    EXPECT_THAT(mounts, Succeeds());
    if (mounts) mounts_ = std::move(*mounts);
    EXPECT_TRUE(WriteFileAtomically(folder_.fd(), "file", "text", 0600));
  }
  Result<Fd> Reopen(const std::string& path) { return mounts_.OpenForReading(*Open(path, O_PATH)); }
  LocalMounts mounts_;
  TemporaryFolder folder_;
};

TEST_F(OpenForReadingTest, GivesTheFileWhateverBecameOfItsName) {
  const Fd path = *Open(folder_ / "file", O_PATH);
  ASSERT_EQ(::unlink((folder_ / "file").c_str()), 0);
  const auto file = mounts_.OpenForReading(path);
  ASSERT_THAT(file, Succeeds());
  std::array<std::byte, 10> bytes;
  EXPECT_EQ(ReadFullAt(*file, bytes, 0).value_or(0), 4);
}

TEST_F(OpenForReadingTest, TakesMemoryThatWasMadeAFile) {
  const Fd memory(::memfd_create("memory", MFD_CLOEXEC));
  EXPECT_THAT(Reopen(fmt::format("/proc/self/fd/{}", memory.get())), Succeeds());
}

TEST_F(OpenForReadingTest, TouchesNothingElse) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(Reopen(folder_ / "fifo"), FailsWith(EBADMSG));
  EXPECT_THAT(Reopen("/dev/null"), FailsWith(EBADMSG));
  EXPECT_THAT(Reopen(folder_.path()), FailsWith(EBADMSG));
  EXPECT_THAT(Reopen("/proc/self/status"), FailsWith(EXDEV));
  EXPECT_THAT(LocalMounts().OpenForReading(*Open(folder_ / "file", O_PATH)), FailsWith(EXDEV));
}

TEST_F(OpenForReadingTest, KnowsTheMountThatAChrootLiesOn) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: needs chroot(2)";
  const Fd path = *Open(folder_ / "file", O_PATH);
  Child child(::fork());
  if (child.pid() == 0) {
    if (::chroot(folder_.path().c_str()) < 0) ::_exit(1);
    for (;;) ::pause();
  }
  const std::string root = fmt::format("/proc/{}/root", child.pid());
  while (std::filesystem::read_symlink(root) == "/") ::sched_yield();  // it is not there yet
  const auto mounts = LocalMounts::Read(*Open(fmt::format("/proc/{}", child.pid()), O_RDONLY | O_DIRECTORY));
  ASSERT_THAT(mounts, Succeeds());
  EXPECT_THAT(mounts->OpenForReading(path), Succeeds());
}

/// Overlays with a file, on a tmpfs in `folder`.
bool MountOverlay(const std::string& folder) {
  if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, nullptr) < 0) return false;
  for (const char* name : {"/lower", "/empty", "/merged"})
    if (::mkdir((folder + name).c_str(), 0700) < 0) return false;
  if (!Open(folder + "/lower/file", O_WRONLY | O_CREAT, 0600)) return false;
  const std::string options = fmt::format("lowerdir={0}/lower:{0}/empty", folder);
  return ::mount("overlay", (folder + "/merged").c_str(), "overlay", 0, options.c_str()) == 0;
}

TEST_F(OpenForReadingTest, TakesAnOverlayOfTheHost) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: needs mount(2)";
  const bool mounted = MountOverlay(folder_.path());
  if (mounted) {
    const auto mounts = LocalMounts::Read(*Open("/proc/self", O_RDONLY | O_DIRECTORY));
    ASSERT_THAT(mounts, Succeeds());
    EXPECT_THAT(mounts->OpenForReading(*Open(folder_ / "merged/file", O_PATH)), Succeeds());
    ::umount2((folder_ / "merged").c_str(), MNT_DETACH);
  }
  ::umount2(folder_.path().c_str(), MNT_DETACH);
  if (!mounted) GTEST_SKIP() << "no overlays here";
}

TEST_F(OpenForReadingTest, TakesNoOverlayThatTheHostDoesNotHave) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: needs mount(2)";
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd told(ends[0]);
  Fd tell(ends[1]);
  Child child(::fork());
  if (child.pid() == 0) {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         MountOverlay(folder_.path());
    if (!mounted || ::write(tell.get(), "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  tell.Reset();
  std::array<std::byte, 1> word;
  if (ReadFull(told, word).value_or(0) == 0) GTEST_SKIP() << "no overlays here";
  const std::string proc = fmt::format("/proc/{}", child.pid());
  const auto mounts = LocalMounts::Read(*Open(proc, O_RDONLY | O_DIRECTORY));
  ASSERT_THAT(mounts, Succeeds());
  const std::string folder = proc + "/root" + folder_.path();
  EXPECT_THAT(mounts->OpenForReading(*Open(folder + "/merged/file", O_PATH)), FailsWith(EXDEV));
  EXPECT_THAT(mounts->OpenForReading(*Open(folder + "/lower/file", O_PATH)), Succeeds());
}

TEST_F(OpenForReadingTest, DoesNotWaitForALease) {
  const Fd holder = *Open(folder_ / "file", O_RDWR);
  ::signal(SIGIO, SIG_IGN);  // with which it is told that somebody opens the file
  if (::fcntl(holder.get(), F_SETLEASE, F_WRLCK) < 0) GTEST_SKIP() << "no leases on this file system";
  EXPECT_THAT(Reopen(folder_ / "file"), FailsWith(EWOULDBLOCK));
}

}  // namespace
}  // namespace obit
