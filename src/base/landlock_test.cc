#include "base/landlock.h"

#include <functional>

#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::TemporaryFolder;

constexpr int kMissing = 255;

/// The errno of what `attempt` does in a child that is restricted; kMissing: this kernel has no Landlock.
int Try(FileAccess access, const std::function<long()>& attempt,
        std::initializer_list<FolderAccess> beneath = {}) {
  Child child(::fork());
  if (child.pid() == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const auto restricted = RestrictFiles(access, beneath);
    if (!restricted) ::_exit(restricted.error().code);
    if (!*restricted) ::_exit(kMissing);
    ::_exit(attempt() < 0 ? errno : 0);
  }
  const int status = child.Wait();
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

class LandlockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Try(FileAccess::kRead, [] { return 0; }) == kMissing) GTEST_SKIP() << "this kernel has no Landlock";
    ASSERT_TRUE(WriteFileAtomically(folder_.fd(), "file", "text", 0700));
  }
  TemporaryFolder folder_;
};

TEST_F(LandlockTest, ReadingMayStayAllowed) {
  const std::string file = folder_ / "file";
  const auto read = [&] { return ::open(file.c_str(), O_RDONLY); };
  const auto list = [&] { return ::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY); };
  EXPECT_EQ(Try(FileAccess::kRead, read), 0);
  EXPECT_EQ(Try(FileAccess::kRead, list), 0);
  EXPECT_EQ(Try(FileAccess::kNothing, read), EACCES);
  EXPECT_EQ(Try(FileAccess::kNothing, list), EACCES);
}

TEST_F(LandlockTest, AllElseIsDenied) {
  const std::string file = folder_ / "file", made = folder_ / "made";
  for (const FileAccess access : {FileAccess::kRead, FileAccess::kNothing}) {
    EXPECT_EQ(Try(access, [&] { return ::open(file.c_str(), O_WRONLY); }), EACCES);
    EXPECT_EQ(Try(access, [&] { return ::open(made.c_str(), O_RDONLY | O_CREAT, 0600); }), EACCES);
    EXPECT_EQ(Try(access, [&] { return ::unlink(file.c_str()); }), EACCES);
    EXPECT_EQ(Try(access, [&] { return ::rename(file.c_str(), made.c_str()); }), EACCES);
    EXPECT_EQ(Try(access, [&] { return ::mkdir(made.c_str(), 0700); }), EACCES);
    EXPECT_EQ(Try(access, [&] { return ::mkfifo(made.c_str(), 0700); }), EACCES);
    EXPECT_EQ(Try(access, [&] { return ::execl(file.c_str(), "file", nullptr); }), EACCES);
  }
}

TEST_F(LandlockTest, CanOnlyBecomeStricter) {
  const std::string file = folder_ / "file";
  EXPECT_EQ(Try(FileAccess::kNothing,
                [&] {
                  (void)RestrictFiles(FileAccess::kRead);
                  return ::open(file.c_str(), O_RDONLY);
                }),
            EACCES);
}

TEST_F(LandlockTest, AFolderCanBeLeftOpen) {
  ASSERT_EQ(::mkdir((folder_ / "in").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((folder_ / "read").c_str(), 0700), 0);
  ASSERT_TRUE(WriteFileAtomically(folder_.fd(), "read/file", "text", 0600));
  const auto in = Open(folder_ / "in", O_RDONLY | O_DIRECTORY);
  const auto read = Open(folder_ / "read", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(in && read);

  const auto attempt = [&](const std::function<long()>& what) {
    return Try(FileAccess::kNothing, what, {{*in, FileAccess::kWrite}, {*read, FileAccess::kRead}});
  };
  EXPECT_EQ(attempt([&] {
              const bool good = WriteFileAtomically(*in, "made", "text", 0600) &&
                                ReadFileAt(*in, "made", 10) && ::mkdirat(in->get(), "folder", 0700) == 0 &&
                                ::unlinkat(in->get(), "folder", AT_REMOVEDIR) == 0 &&
                                ::unlinkat(in->get(), "made", 0) == 0;
              return good ? 0 : -1;
            }),
            0);
  EXPECT_EQ(attempt([&] { return ReadFileAt(*read, "file", 10) ? 0 : -1; }), 0);
  EXPECT_EQ(attempt([&] { return ::unlinkat(read->get(), "file", 0); }), EACCES);
  EXPECT_EQ(attempt([&] { return ::openat(folder_.fd().get(), "file", O_RDONLY); }), EACCES);
  EXPECT_EQ(attempt([&] { return ::mknodat(in->get(), "fifo", S_IFIFO | 0600, 0); }), EACCES);
}

}  // namespace
}  // namespace obit
