#include "jobs/hooks.h"

#include <sys/stat.h>

#include "base/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Succeeds;
using testing::TemporaryFolder;

class HooksTest : public ::testing::Test {
 protected:
  void Put(const std::string& name, mode_t mode) {
    ASSERT_TRUE(WriteFileAtomically(folder_.fd(), name, "#!/bin/sh\n", 0600));
    ASSERT_EQ(::chmod((folder_ / name).c_str(), mode), 0);
  }
  TemporaryFolder folder_;
};

TEST_F(HooksTest, AreTheExecutablesInTheOrderOfTheirNames) {
  Put("20-mail.sh", 0755);
  Put("10-log", 0700);
  Put("README", 0644);
  for (const char* aside : {".hidden", "10-log~", "10-log.dpkg-old", "10-log.ucf-dist", "20-mail.sh.rpmsave"})
    Put(aside, 0755);
  ASSERT_EQ(::mkdir((folder_ / "15-folder").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("10-log", (folder_ / "30-link").c_str()), 0);
  ASSERT_EQ(::symlink("nowhere", (folder_ / "40-link").c_str()), 0);
  const auto hooks = FindHooks(folder_.path());
  ASSERT_THAT(hooks, Succeeds());
  EXPECT_THAT(hooks->programs, ElementsAre(folder_ / "10-log", folder_ / "20-mail.sh", folder_ / "30-link"));
  EXPECT_THAT(hooks->refused, ElementsAre());
}

TEST_F(HooksTest, OthersDoNotDecideWhatRuns) {
  Put("10-group", 0775);
  Put("20-all", 0757);
  Put("30-own", 0755);
  const auto hooks = FindHooks(folder_.path());
  ASSERT_THAT(hooks, Succeeds());
  EXPECT_THAT(hooks->programs, ElementsAre(folder_ / "30-own"));
  EXPECT_THAT(hooks->refused, ElementsAre(HasSubstr("10-group"), HasSubstr("20-all")));
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0777), 0);
  EXPECT_THAT(FindHooks(folder_.path()), FailsWith(EPERM));
}

TEST_F(HooksTest, OfAnotherUserAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  Put("10-other", 0755);
  ASSERT_EQ(::chown((folder_ / "10-other").c_str(), 65534, 65534), 0);
  EXPECT_THAT(FindHooks(folder_.path())->refused, ElementsAre(HasSubstr("10-other")));
  ASSERT_EQ(::chown(folder_.path().c_str(), 65534, 65534), 0);
  EXPECT_THAT(FindHooks(folder_.path()), FailsWith(EPERM));
}

TEST_F(HooksTest, NoFolderHasNone) {
  const auto hooks = FindHooks(folder_ / "nothing");
  ASSERT_THAT(hooks, Succeeds());
  EXPECT_THAT(hooks->programs, ElementsAre());
}

}  // namespace
}  // namespace obit
