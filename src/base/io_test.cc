#include "base/io.h"

#include <csignal>

#include <sys/resource.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::BytesOf;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;
using testing::TextOf;
using ::testing::UnorderedElementsAre;

std::string ReadBack(const TemporaryFolder& folder, const std::string& name) {
  auto file = ReadFileAt(folder.fd(), name, 1 << 20);
  return file ? file->text : "error: " + file.error().what;
}

void Put(const TemporaryFolder& folder, const std::string& name, std::string_view text) {
  const auto fd = OpenAt(folder.fd(), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ASSERT_THAT(fd, Succeeds());
  ASSERT_THAT(WriteAll(*fd, text), Succeeds());
}

/// No file of this process may grow past `bytes` while it lives; writes then fail with EFBIG.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(FileSizeLimit&&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    (void)std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  sighandler_t handler_;
};

TEST(Open, GivesTheErrnoOfTheSystem) {
  EXPECT_THAT(Open("/nonexistent/file", O_RDONLY), FailsWith(ENOENT));
  EXPECT_EQ(Open("/nonexistent/file", O_RDONLY).error().what,
            "open /nonexistent/file: No such file or directory");
}

TEST(Open, IsNotInherited) {
  const auto fd = Open("/dev/null", O_RDONLY);
  ASSERT_THAT(fd, Succeeds());
  EXPECT_EQ(::fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
  const auto copy = Duplicate(*fd);
  ASSERT_THAT(copy, Succeeds());
  EXPECT_NE(copy->get(), fd->get());
  EXPECT_EQ(::fcntl(copy->get(), F_GETFD), FD_CLOEXEC);
}

TEST(OpenAt, RefusesASymlink) {
  const TemporaryFolder folder;
  Put(folder, "file", "x");
  ASSERT_EQ(::symlinkat("file", folder.fd().get(), "link"), 0);
  EXPECT_THAT(OpenAt(folder.fd(), "link", O_RDONLY), FailsWith(ELOOP));
  EXPECT_THAT(Open(folder / "link", O_RDONLY), Succeeds());
  EXPECT_THAT(ReadFileAt(folder.fd(), "link", 10), FailsWith(ELOOP));
}

TEST(Duplicate, FailsForNoDescriptor) { EXPECT_THAT(Duplicate(Fd()), FailsWith(EBADF)); }

TEST(ReadFull, GathersPiecesAndStopsAtTheEnd) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  const testing::Child child(::fork());
  if (child.pid() == 0) {
    for (const char c : {'a', 'b', 'c'}) (void)!::write(writer.get(), &c, 1);
    ::_exit(0);
  }
  std::array<std::byte, 3> bytes{};
  EXPECT_EQ(ReadFull(reader, bytes).value(), 3u);
  EXPECT_EQ(TextOf(bytes), "abc");
}

TEST(ReadFullAt, SaysHowMuchThereWas) {
  const TemporaryFolder folder;
  Put(folder, "file", "0123456789");
  const auto fd = OpenAt(folder.fd(), "file", O_RDONLY);
  std::array<std::byte, 4> bytes{};
  EXPECT_EQ(ReadFullAt(*fd, bytes, 3).value(), 4u);
  EXPECT_EQ(TextOf(bytes), "3456");
  EXPECT_EQ(ReadFullAt(*fd, bytes, 8).value(), 2u);
  EXPECT_EQ(ReadFullAt(*fd, bytes, 100).value(), 0u);
  EXPECT_EQ(::lseek(fd->get(), 0, SEEK_CUR), 0);
}

TEST(ReadFullAt, RefusesAnOffsetThatNoFileHas) {
  const auto fd = Open("/dev/zero", O_RDWR);
  std::array<std::byte, 4> bytes{};
  EXPECT_THAT(ReadFullAt(*fd, bytes, UINT64_MAX), FailsWith(EOVERFLOW));
  EXPECT_THAT(ReadFullAt(*fd, bytes, INT64_MAX - 3), FailsWith(EOVERFLOW));
  EXPECT_THAT(WriteAllAt(*fd, bytes, UINT64_MAX - 2), FailsWith(EOVERFLOW));
}

TEST(WriteAll, FailsWhereADeviceIsFull) {
  const auto fd = Open("/dev/full", O_WRONLY);
  EXPECT_THAT(WriteAll(*fd, "x"), FailsWith(ENOSPC));
  EXPECT_THAT(WriteAll(*fd, ""), Succeeds());
}

TEST(WriteAll, GoesOnAfterAShortWrite) {
  const TemporaryFolder folder;
  const auto fd = OpenAt(folder.fd(), "file", O_WRONLY | O_CREAT, 0600);
  {
    const FileSizeLimit limit(3);
    EXPECT_THAT(WriteAll(*fd, "abcdef"), FailsWith(EFBIG));
  }
  EXPECT_EQ(ReadBack(folder, "file"), "abc");
}

TEST(WriteAllAt, LeavesAHoleBefore) {
  const TemporaryFolder folder;
  const auto fd = OpenAt(folder.fd(), "file", O_WRONLY | O_CREAT, 0600);
  EXPECT_THAT(WriteAllAt(*fd, BytesOf("xy"), 2), Succeeds());
  EXPECT_EQ(ReadBack(folder, "file"), std::string("\0\0xy", 4));
}

TEST(ReadFileAt, TellsWhenThereIsMore) {
  const TemporaryFolder folder;
  Put(folder, "file", "0123456789");
  for (std::size_t max = 0; max <= 12; ++max) {
    const auto file = ReadFileAt(folder.fd(), "file", max);
    ASSERT_THAT(file, Succeeds());
    EXPECT_EQ(file->text, std::string_view("0123456789").substr(0, max));
    EXPECT_EQ(file->truncated, max < 10) << max;
  }
}

TEST(ReadFileAt, ReadsFilesLargerThanOneStep) {
  const TemporaryFolder folder;
  for (const std::size_t size : {16383, 16384, 16385, 32768, 100000}) {
    Put(folder, "file", std::string(size, 'x'));
    EXPECT_EQ(ReadFileAt(folder.fd(), "file", 1 << 20)->text.size(), size);
    EXPECT_FALSE(ReadFileAt(folder.fd(), "file", size)->truncated);
    EXPECT_TRUE(ReadFileAt(folder.fd(), "file", size - 1)->truncated);
  }
}

TEST(ReadFileAt, ReadsFilesWithoutASize) {
  EXPECT_TRUE(ReadFile("/proc/self/status", 1 << 16)->text.starts_with("Name:"));
}

TEST(ReadFileAt, DoesNotHangOnAFifo) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifoat(folder.fd().get(), "fifo", 0600), 0);
  EXPECT_EQ(ReadFileAt(folder.fd(), "fifo", 10)->text, "");
  const auto writer = Open(folder / "fifo", O_RDWR);
  EXPECT_THAT(ReadFileAt(folder.fd(), "fifo", 10), FailsWith(EAGAIN));
}

TEST(ReadFileAt, SaysWhichFileItWas) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkdirat(folder.fd().get(), "sub", 0700), 0);
  const auto file = ReadFileAt(folder.fd(), "sub", 10);
  EXPECT_THAT(file, FailsWith(EISDIR));
  EXPECT_THAT(file.error().what, ::testing::StartsWith("sub: "));
}

TEST(WriteFileAtomically, ReplacesTheWholeFile) {
  const TemporaryFolder folder;
  Put(folder, "file", "the old and longer text");
  EXPECT_THAT(WriteFileAtomically(folder.fd(), "file", "new", 0600), Succeeds());
  EXPECT_EQ(ReadBack(folder, "file"), "new");
  EXPECT_THAT(*ListDirectory(folder.fd()), UnorderedElementsAre("file"));
}

TEST(WriteFileAtomically, LeavesTheOldContentWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  Put(folder, "file", "old");
  {
    const FileSizeLimit limit(2);
    const auto failed = WriteFileAtomically(folder.fd(), "file", "newer", 0600);
    EXPECT_THAT(failed, FailsWith(EFBIG));
    EXPECT_THAT(failed.error().what, ::testing::StartsWith("write file: "));
  }
  EXPECT_EQ(ReadBack(folder, "file"), "old");
  EXPECT_THAT(*ListDirectory(folder.fd()), UnorderedElementsAre("file"));
}

TEST(WriteFileAtomically, LeavesNothingWhenTheNameIsTaken) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkdirat(folder.fd().get(), "file", 0700), 0);
  EXPECT_THAT(WriteFileAtomically(folder.fd(), "file", "new", 0600), FailsWith(EISDIR));
  EXPECT_THAT(*ListDirectory(folder.fd()), UnorderedElementsAre("file"));
}

TEST(WriteFileAtomically, DoesNotWriteThroughASymlink) {
  const TemporaryFolder folder;
  Put(folder, "target", "old");
  ASSERT_EQ(::symlinkat("target", folder.fd().get(), "file"), 0);
  EXPECT_THAT(WriteFileAtomically(folder.fd(), "file", "new", 0600), Succeeds());
  EXPECT_EQ(ReadBack(folder, "target"), "old");
  EXPECT_EQ(ReadBack(folder, "file"), "new");
}

TEST(ReadLinkAt, GivesTheTargetAsItIs) {
  const TemporaryFolder folder;
  ASSERT_EQ(::symlinkat("some where/\xff", folder.fd().get(), "link"), 0);
  EXPECT_EQ(ReadLinkAt(folder.fd(), "link").value(), "some where/\xff");
  Put(folder, "file", "x");
  EXPECT_THAT(ReadLinkAt(folder.fd(), "file"), FailsWith(EINVAL));
}

TEST(Sync, FailsForNoFile) { EXPECT_THAT(Sync(Fd()), FailsWith(EBADF)); }

TEST(MakeDirectories, MakesTheMissingOnes) {
  const TemporaryFolder folder;
  EXPECT_THAT(MakeDirectories(folder / "a/b/c", 0700), Succeeds());
  EXPECT_THAT(MakeDirectories(folder / "a/b/c", 0700), Succeeds());
  struct stat found{};
  ASSERT_EQ(::stat((folder / "a/b/c").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0700u);
}

TEST(MakeDirectories, FailsWhereAFileIs) {
  const TemporaryFolder folder;
  Put(folder, "file", "x");
  EXPECT_THAT(MakeDirectories(folder / "file/sub", 0700), FailsWith(ENOTDIR));
  EXPECT_THAT(MakeDirectories(folder / "file", 0700), FailsWith(ENOTDIR));
}

TEST(ListDirectory, NamesEverythingEachTime) {
  const TemporaryFolder folder;
  EXPECT_TRUE(ListDirectory(folder.fd())->empty());
  Put(folder, ".hidden", "x");
  Put(folder, "file", "x");
  for (int i = 0; i < 2; ++i)
    EXPECT_THAT(*ListDirectory(folder.fd()), UnorderedElementsAre(".hidden", "file"));
}

TEST(ListDirectory, FailsForAFile) {
  const auto file = Open("/dev/null", O_RDONLY);
  EXPECT_THAT(ListDirectory(*file), FailsWith(ENOTDIR));
}

}  // namespace
}  // namespace obit
