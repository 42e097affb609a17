#include "base/inside.h"

#include <functional>

#include <sched.h>
#include <sys/mount.h>

#include "base/capabilities.h"
#include "base/system_call_filter.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Succeeds;
using testing::TemporaryFolder;

class InsideTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(MakeDirectories(folder_ / "in/deep", 0755), Succeeds());
    ASSERT_THAT(WriteFileAtomically(Of("in/deep"), "file", "text", 0644), Succeeds());
    ASSERT_THAT(WriteFileAtomically(Of("in"), "file", "other", 0644), Succeeds());
    ASSERT_EQ(::symlink("deep", (folder_ / "in/link").c_str()), 0);
    ASSERT_EQ(::symlink("file", (folder_ / "in/deep/link").c_str()), 0);
  }
  [[nodiscard]] Fd Of(const std::string& name) const {
    return Open(folder_ / name, O_RDONLY | O_DIRECTORY).value_or(Fd());
  }
  /// True in a child of its own.
  static bool InAChild(const std::function<bool()>& what) {
    Child child(::fork());
    if (child.pid() == 0) ::_exit(what() ? 0 : 1);
    return child.Wait() == 0;
  }
  /// With a mount over each of `places`, in a mount namespace of its own.
  static bool UnderMounts(std::initializer_list<std::pair<std::string, std::string>> mounts,
                          const std::function<bool()>& what) {
    return InAChild([&] {
      if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
        return false;
      for (const auto& [from, to] : mounts)
        if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) < 0) return false;
      return what();
    });
  }
  static int CodeOf(const auto& result) { return result ? 0 : result.error().code; }

  TemporaryFolder folder_;
};

TEST_F(InsideTest, OpensMakesAndLooksAtWhatIsThere) {
  EXPECT_EQ(ReadText(*OpenInside(folder_.fd(), "in/deep/file", O_RDONLY), "", 100)->text, "text");
  const auto made = OpenInside(folder_.fd(), "in/made", O_WRONLY | O_CREAT | O_EXCL, 0600);
  ASSERT_THAT(made, Succeeds());
  EXPECT_EQ(::fcntl(made->get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(LookInside(folder_.fd(), "in/made")->st_mode, S_IFREG | 0600u);
  EXPECT_THAT(OpenInside(folder_.fd(), "in/made", O_RDONLY, 0600), Succeeds()) << "a mode without O_CREAT";
  EXPECT_THAT(OpenInside(folder_.fd(), ".", O_RDONLY | O_DIRECTORY), Succeeds());
  EXPECT_THAT(OpenInside(folder_.fd(), "in/none", O_RDONLY), FailsWith(ENOENT));
  EXPECT_THAT(LookInside(folder_.fd(), "in/none"), FailsWith(ENOENT));
}

TEST_F(InsideTest, TellsWhetherSomethingIsThere) {
  const Fd deep = Of("in/deep");
  EXPECT_THAT(IsThere(deep, "file"), Succeeds());
  EXPECT_THAT(IsThere(deep, "link"), Succeeds()) << "the link itself";
  EXPECT_THAT(IsThere(deep, "none"), FailsWith(ENOENT));
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string file = folder_ / "in/deep/file";
  EXPECT_TRUE(UnderMounts({{folder_ / "in/file", file}}, [&] {
    return CodeOf(IsThere(Of("in/deep"), "file")) == EXDEV && CodeOf(IsThere(Of("in/deep"), "link")) == 0;
  }));
}

TEST_F(InsideTest, FollowsNoLinkInAnyPart) {
  for (const char* path : {"in/link", "in/link/file", "in/deep/link"})
    EXPECT_THAT(OpenInside(folder_.fd(), path, O_RDONLY), FailsWith(ELOOP)) << path;
  EXPECT_TRUE(S_ISLNK(LookInside(folder_.fd(), "in/link")->st_mode));
  EXPECT_THAT(LookInside(folder_.fd(), "in/link/file"), FailsWith(ELOOP));
}

TEST_F(InsideTest, GoesNowhereElse) {
  for (const char* path : {"..", "../in", "/", "/etc"})
    EXPECT_THAT(OpenInside(Of("in"), path, O_RDONLY), FailsWith(EXDEV)) << path;
}

TEST_F(InsideTest, EntersNoMount) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string deep = folder_ / "in/deep", file = folder_ / "in/file";
  const auto refused = [&](const char* path) {
    const Fd top = *Open(folder_.path(), O_RDONLY | O_DIRECTORY);  // where it is mounted
    const auto opened = OpenInside(top, path, O_RDONLY);
    return CodeOf(opened) == EXDEV && opened.error().what.contains("mounted") &&
           CodeOf(LookInside(top, path)) == EXDEV;
  };
  EXPECT_TRUE(UnderMounts({{deep, deep}, {deep + "/file", file}}, [&] {
    return refused("in/deep") && refused("in/deep/file") && refused("in/file");
  }));
  EXPECT_TRUE(UnderMounts({{folder_.path(), folder_.path()}}, [&] {
    const auto top = Open(folder_.path(), O_RDONLY | O_DIRECTORY);
    return top && LookInside(*top, "in/deep/file");
  })) << "one over the folder itself is nobody's trap: whoever opened it has entered it";
}

TEST_F(InsideTest, RefusesLinksWhereTheKernelKnowsNoSuchCall) {
  for (const int error : {ENOSYS, EPERM})
    EXPECT_TRUE(InAChild([&] {
      SystemCallFilter filter(UnnamedCalls::kAllowed);
      filter.RefuseIf(error, SCMP_SYS(openat2), {});
      if (!ForbidNewPrivileges() || !filter.Load()) return false;
      for (const char* path : {"in/link", "in/deep/link"})
        if (CodeOf(OpenInside(folder_.fd(), path, O_RDONLY)) != ELOOP) return false;
      // A link in between is no folder to openat(2).
      if (CodeOf(OpenInside(folder_.fd(), "in/link/file", O_RDONLY)) != ENOTDIR) return false;
      for (const char* path : {"..", "../in", "/etc", "in/../in"})
        if (CodeOf(OpenInside(folder_.fd(), path, O_RDONLY)) != EXDEV) return false;
      return OpenInside(folder_.fd(), "in/deep/file", O_RDONLY) && OpenInside(folder_.fd(), ".", O_RDONLY) &&
             LookInside(folder_.fd(), "in/deep/file")->st_size == 4;
    })) << error;
}

}  // namespace
}  // namespace obit
