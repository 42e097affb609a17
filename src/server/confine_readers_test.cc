// What is left to those who look and those who write.

#include <linux/openat2.h>
#include <sys/syscall.h>

#include "server/test_confine.h"

namespace obit {
namespace {

using testing::Check;
using testing::Child;
using testing::Execute;
using testing::Fork;
using testing::kDied;
using testing::kRefused;
using testing::kWorked;
using testing::Outcome;

class ConfineReadersTest : public testing::ConfineTest {};

TEST_F(ConfineReadersTest, AnInspectorReadsAndWritesNothing) {
  const Fd file = *Open(folder_ / "other", O_RDWR);
  EXPECT_EQ(Inspector([&] {
              const auto text = ReadFile("/proc/self/status", 1 << 16);
              const auto link = ReadLinkAt(Fd(::openat(AT_FDCWD, "/proc/self", O_RDONLY)), "exe");
              const auto names = ListDirectory(folder_.fd());
              return Check(text && link && names && names->size() == 2);
            }),
            kWorked);
  const auto open_for = [&](int flags) { return ::openat(folder_.fd().get(), "other", flags, 0600); };
  for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDONLY | O_CREAT})
    EXPECT_EQ(Inspector([&] { return open_for(flags); }), kRefused) << flags;
  EXPECT_EQ(Inspector([&] { return ::openat(folder_.fd().get(), ".", O_TMPFILE | O_RDWR, 0600); }), kRefused);
  EXPECT_EQ(Inspector([&] { return ::write(file.get(), "x", 1); }), kRefused);
  EXPECT_EQ(Inspector([&] { return ::unlinkat(folder_.fd().get(), "other", 0); }), kRefused);
  EXPECT_EQ(Inspector([&] { return ::ftruncate(file.get(), 0); }), kRefused);
  EXPECT_EQ(Inspector([] { return ::syscall(SYS_pidfd_send_signal, -1, SIGKILL, nullptr, 0); }), kRefused);
  EXPECT_EQ(Inspector([] { return ::kill(::getppid(), 0); }), kDied);
}

TEST_F(ConfineReadersTest, AnInspectorLooksIntoProcessesOfOthers) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Child other(::fork());
  if (other.pid() == 0)
    for (;;) ::pause();
  const std::string path = fmt::format("/proc/{}/mem", other.pid());
  const auto open = [&] { return ::openat(AT_FDCWD, path.c_str(), O_RDONLY); };
  const auto as_user = [](const std::function<Result<void>()>& confine) {
    return [confine]() -> Result<void> {
      OBIT_TRY(DropPrivileges(User{61001, 61001}));
      OBIT_TRY(ConfineSupervisor());
      return confine();
    };
  };
  EXPECT_EQ(Try(as_user(ConfineInspector), open), kWorked);
  EXPECT_EQ(Try(as_user([] { return Result<void>(); }), open), (Outcome{EACCES, 0}));
}

TEST_F(ConfineReadersTest, AWorkerHasThreadsAndNoChildren) {
  EXPECT_EQ(Worker([] {
              std::thread([] {}).join();
              return 0;
            }),
            kWorked);
  EXPECT_EQ(Worker([] { return ::kill(::getppid(), 0); }), kDied);
}

/// No filter sees what it is asked for: it gives no more than openat(2).
long OpenAt2(const Fd& dir, const char* name, std::uint64_t flags) {
  open_how how{};
  how.flags = flags;
  how.resolve = RESOLVE_BENEATH;
  return ::syscall(SYS_openat2, dir.get(), name, &how, sizeof how);
}

TEST_F(ConfineReadersTest, AWorkerPreparesAndWritesInIncomingOnly) {
  EXPECT_EQ(Worker([&] {
              if (::mkdirat(incoming_.get(), "next", 0700) < 0) return -1L;
              const Fd next(::openat(incoming_.get(), "next", O_RDONLY | O_DIRECTORY));
              if (::flock(next.get(), LOCK_EX | LOCK_NB) < 0) return -1L;
              if (!WriteFileAtomically(next, "core", "x", 0600)) return -1L;
              if (OpenAt2(incoming_, "next/core", O_RDONLY) < 0) return -1L;
              return static_cast<long>(::renameat(incoming_.get(), "next", incoming_.get(), "id"));
            }),
            kWorked);
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(Worker([&] { return OpenAt2(folder_.fd(), "other", O_RDONLY); }), (Outcome{EACCES, 0}));
  EXPECT_EQ(Worker([&] { return ::openat(folder_.fd().get(), "other", O_RDONLY); }), (Outcome{EACCES, 0}));
  EXPECT_EQ(Worker([] { return ::openat(AT_FDCWD, "/etc/passwd", O_RDONLY); }), (Outcome{EACCES, 0}));
  EXPECT_EQ(Worker([&] { return ::unlinkat(folder_.fd().get(), "other", 0); }), (Outcome{EACCES, 0}));
}

TEST_F(ConfineReadersTest, APumpMovesBytesAndNothingElse) {
  EXPECT_EQ(Pump([] { return ::openat(AT_FDCWD, "/dev/null", O_RDONLY); }), kRefused);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const Fd read_end(ends[0]), write_end(ends[1]);
  const auto pair = *MakeSocketPair(SOCK_STREAM);
  ASSERT_EQ(::write(write_end.get(), "core", 4), 4);
  EXPECT_EQ(Pump([&] {
              if (::splice(read_end.get(), nullptr, pair.first.get(), nullptr, 4, 0) != 4) return -1;
              return ::shutdown(pair.first.get(), SHUT_WR);
            }),
            kWorked);
  char bytes[8];
  EXPECT_EQ(::read(pair.second.get(), bytes, sizeof bytes), 4);
  EXPECT_EQ(::read(pair.second.get(), bytes, sizeof bytes), 0);
  EXPECT_EQ(Pump([&] { return ::read(read_end.get(), bytes, 1); }), kRefused);
  EXPECT_EQ(Pump([&] { return ::write(write_end.get(), "x", 1); }), kRefused);
}

TEST_F(ConfineReadersTest, TheClerkWritesTheStoreReadsTheRestAndEndsItsChildren) {
  Child hook(::fork());
  if (hook.pid() == 0)
    for (;;) ::pause();
  EXPECT_EQ(Clerk([&] {
              if (!WriteFileAtomically(incoming_, "record", "x", 0600)) return -1L;
              if (!ReadFile(folder_ / "other", 10)) return -1L;
              if (!Fd(::socket(AF_UNIX, SOCK_DGRAM, 0))) return -1L;
              return static_cast<long>(::kill(hook.pid(), SIGKILL));
            }),
            kWorked);
  EXPECT_EQ(Clerk([] { return ::kill(::getppid(), SIGTERM); }), kRefused);
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(Clerk([&] { return ::openat(folder_.fd().get(), "other", O_WRONLY); }), (Outcome{EACCES, 0}));
  EXPECT_EQ(Clerk([&] { return ::unlinkat(folder_.fd().get(), "other", 0); }), (Outcome{EACCES, 0}));
}

}  // namespace
}  // namespace obit
