#include "kernel/local_mounts.h"

#include <csignal>
#include <filesystem>

#include <sched.h>
#include <sys/mman.h>
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
      "nonsense - ext4 x\n27\n28 - \n29 22 0:43 / /d rw - tmpfs");
  for (const std::uint64_t local : {22, 26, 29}) EXPECT_TRUE(mounts.Contains(local)) << local;
  for (const std::uint64_t other : {0, 23, 24, 25, 27, 28}) EXPECT_FALSE(mounts.Contains(other)) << other;
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

TEST_F(OpenForReadingTest, DoesNotWaitForALease) {
  const Fd holder = *Open(folder_ / "file", O_RDWR);
  ::signal(SIGIO, SIG_IGN);  // with which it is told that somebody opens the file
  if (::fcntl(holder.get(), F_SETLEASE, F_WRLCK) < 0) GTEST_SKIP() << "no leases on this file system";
  EXPECT_THAT(Reopen(folder_ / "file"), FailsWith(EWOULDBLOCK));
}

}  // namespace
}  // namespace obit
