#include "store/ownership.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/inside.h"
#include "base/io.h"
#include "base/test_failing_calls.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

constexpr uid_t kUser = 61001;

class GiveFolderToTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_THAT(MakeDirectories(folder_ / "crashes/2026-11-23/0123456789abcdef", 0700), Succeeds());
    Write("crashes/2026-11-23/0123456789abcdef/crash.json");
  }
  void Write(const std::string& name) {
    ASSERT_THAT(WriteFileAtomically(folder_.fd(), name, "x", 0600), Succeeds());
  }
  uid_t OwnerOf(const std::string& name) {
    struct stat status{};
    EXPECT_EQ(::lstat((folder_ / name).c_str(), &status), 0) << name;
    return status.st_uid;
  }
  TemporaryFolder folder_;
};

TEST_F(GiveFolderToTest, GivesEverythingThatIsRoots) {
  ASSERT_THAT(GiveFolderTo(folder_.path(), kUser, kUser), Succeeds());
  for (const char* name : {".", "crashes", "crashes/2026-11-23/0123456789abcdef",
                           "crashes/2026-11-23/0123456789abcdef/crash.json"})
    EXPECT_EQ(OwnerOf(name), kUser) << name;
  EXPECT_THAT(GiveFolderTo(folder_.path(), kUser, kUser), Succeeds()) << "nothing to do";
  EXPECT_THAT(GiveFolderTo(folder_.path(), kUser + 1, kUser), FailsWith(EPERM));
}

TEST_F(GiveFolderToTest, LeavesWhatLiesElsewhereToo) {
  TemporaryFolder elsewhere;
  ASSERT_THAT(WriteFileAtomically(elsewhere.fd(), "secret", "x", 0600), Succeeds());
  const std::string crash = folder_ / "crashes/2026-11-23/0123456789abcdef";
  ASSERT_EQ(::symlink((elsewhere / "secret").c_str(), (crash + "/symlink").c_str()), 0);
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (crash + "/folder").c_str()), 0);
  ASSERT_EQ(::link((elsewhere / "secret").c_str(), (crash + "/link").c_str()), 0);
  Write("crashes/2026-11-23/0123456789abcdef/others");
  ASSERT_EQ(::chown((crash + "/others").c_str(), kUser + 1, 0), 0);
  ASSERT_THAT(GiveFolderTo(folder_.path(), kUser, kUser), Succeeds());
  struct stat status{};
  ASSERT_EQ(::stat((elsewhere / "secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0U);
  EXPECT_EQ(OwnerOf("crashes/2026-11-23/0123456789abcdef/others"), kUser + 1);
}

class GiveToOwnerTest : public GiveFolderToTest {
 protected:
  void SetUp() override {
    GiveFolderToTest::SetUp();
    if (::geteuid() == 0) {
      ASSERT_EQ(::chown(folder_.path().c_str(), kUser, kUser), 0);
    }
  }
};

TEST_F(GiveToOwnerTest, GivesWhatIsRootsAndNothingElse) {
  Write("made");
  Write("others");
  ASSERT_EQ(::chown((folder_ / "others").c_str(), kUser + 1, kUser), 0);
  EXPECT_THAT(GiveToOwner(folder_.fd(), *OpenAt(folder_.fd(), "made", O_RDONLY)), Succeeds());
  EXPECT_EQ(OwnerOf("made"), kUser);
  EXPECT_THAT(GiveToOwner(folder_.fd(), *OpenAt(folder_.fd(), "made", O_RDONLY)), Succeeds())
      << "it is given";
  EXPECT_THAT(GiveToOwner(folder_.fd(), *OpenAt(folder_.fd(), "others", O_RDONLY)), FailsWith(EPERM));
  EXPECT_EQ(OwnerOf("others"), kUser + 1);
}

TEST_F(GiveToOwnerTest, AFolderHasItsNameOnceItIsGiven) {
  EXPECT_TRUE(testing::WhereCallsFail(
      [] { return testing::FailCalls({.number = SYS_fchown, .argument = 1, .mask = ~0U}, EIO); },
      [&] { return !MakeFolder(folder_.fd(), "day", 0755); }));
  EXPECT_FALSE(LookInside(folder_.fd(), "day")) << "nobody but root could write to it";
  EXPECT_TRUE(MakeFolder(folder_.fd(), "day", 0755).value_or(false));
  EXPECT_EQ(OwnerOf("day"), kUser);
  EXPECT_FALSE(MakeFolder(folder_.fd(), "day", 0755).value_or(true)) << "it is there";
  EXPECT_EQ(ListDirectory(folder_.fd())->size(), 2u) << "nothing else is left, beside the crashes";
}

TEST_F(GiveToOwnerTest, APrivateFileThatIsThereAlreadyIsEmptyOrNotRoots) {
  Write("roots");  // put in the place of a lock
  EXPECT_THAT(MakePrivateFile(folder_.fd(), "roots", O_RDWR), FailsWith(EPERM));
  EXPECT_EQ(OwnerOf("roots"), 0u);
  Write("others");
  ASSERT_EQ(::truncate((folder_ / "others").c_str(), 0), 0);
  ASSERT_EQ(::chown((folder_ / "others").c_str(), kUser + 1, kUser), 0);
  EXPECT_THAT(MakePrivateFile(folder_.fd(), "others", O_RDWR), FailsWith(EPERM));
  EXPECT_EQ(OwnerOf("others"), kUser + 1);

  Write("left");  // by a process of root that was killed before it gave it away
  ASSERT_EQ(::truncate((folder_ / "left").c_str(), 0), 0);
  EXPECT_THAT(MakePrivateFile(folder_.fd(), "left", O_RDWR), Succeeds());
  EXPECT_EQ(OwnerOf("left"), kUser);
  Write("users");
  ASSERT_EQ(::chown((folder_ / "users").c_str(), kUser, kUser), 0);
  EXPECT_THAT(MakePrivateFile(folder_.fd(), "users", O_RDWR), Succeeds());
  EXPECT_THAT(MakePrivateFile(folder_.fd(), "new", O_RDWR), Succeeds());
  EXPECT_EQ(OwnerOf("new"), kUser);
}

}  // namespace
}  // namespace obit
