#include "store/ownership.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
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

}  // namespace
}  // namespace obit
