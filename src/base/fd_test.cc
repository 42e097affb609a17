#include "base/fd.h"

#include <cerrno>

#include <fcntl.h>

#include "base/test_support.h"

namespace obit {
namespace {

struct Pipe {
  Fd reader, writer;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) reader = Fd(ends[0]), writer = Fd(ends[1]);
  }
  /// End of file proves that no writer is left, whatever descriptor numbers were used again.
  [[nodiscard]] bool WriterClosed() const {
    char c;
    return ::read(reader.get(), &c, 1) == 0;
  }
};

TEST(Fd, OwnsNothingAtFirst) {
  const Fd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

TEST(Fd, OwnsDescriptorZero) {
  Fd fd(0);
  EXPECT_TRUE(fd);
  EXPECT_EQ(fd.Release(), 0);
}

TEST(Fd, DestructionCloses) {
  Pipe pipe;
  EXPECT_FALSE(pipe.WriterClosed());
  {
    const Fd taken = std::move(pipe.writer);
  }
  EXPECT_TRUE(pipe.WriterClosed());
}

TEST(Fd, AssignmentClosesTheOldDescriptor) {
  Pipe pipe;
  pipe.writer = Fd();
  EXPECT_TRUE(pipe.WriterClosed());
}

TEST(Fd, MovedFromOwnsNothing) {
  Pipe pipe;
  const int number = pipe.writer.get();
  const Fd taken = std::move(pipe.writer);
  EXPECT_FALSE(pipe.writer);  // NOLINT(bugprone-use-after-move): the state after a move is what is tested
  EXPECT_EQ(taken.get(), number);
  EXPECT_FALSE(pipe.WriterClosed());
}

TEST(Fd, SelfMoveKeepsTheDescriptorOpen) {
  Pipe pipe;
  Fd& same = pipe.writer;
  pipe.writer = std::move(same);
  EXPECT_TRUE(pipe.writer);
  EXPECT_FALSE(pipe.WriterClosed());
}

TEST(Fd, ClosesOnlyOnce) {
  Pipe pipe;
  Fd closed(::fcntl(pipe.writer.get(), F_DUPFD_CLOEXEC, 0));
  const int number = closed.get();
  closed.Reset();
  const Fd other(::fcntl(pipe.writer.get(), F_DUPFD_CLOEXEC, number));
  ASSERT_EQ(other.get(), number);  // used again: a second close would hit it
  pipe.writer.Reset();
  closed.Reset();
  EXPECT_FALSE(pipe.WriterClosed());
}

TEST(Fd, ReleaseLeavesItOpen) {
  Pipe pipe;
  const int number = pipe.writer.Release();
  pipe.writer.Reset();
  EXPECT_FALSE(pipe.WriterClosed());
  const Fd again(number);
}

TEST(Fd, ClosingKeepsErrno) {
  const int closed = ::dup(0);
  ::close(closed);
  Fd stale(closed);  // close() will fail with EBADF
  errno = ENOSPC;
  stale.Reset();
  EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace obit
