#include "kernel/executable.h"

#include <filesystem>

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::Child;
using testing::ExecuteStopped;
using testing::FailsWith;
using testing::Succeeds;
using testing::TemporaryFolder;

Fd Proc() { return *Open("/proc", O_RDONLY | O_DIRECTORY); }
Fd ProcOf(const Child& child) { return *Open(fmt::format("/proc/{}", child.pid()), O_RDONLY | O_DIRECTORY); }

/// A process that executes a file called `name` in a folder of its own.
class ExecutableTest : public ::testing::Test {
 protected:
  void Start(const std::string& name) {
    path_ = folder_ / name;
    std::filesystem::copy_file("/bin/sleep", path_);
    child_ = std::make_unique<Child>(ExecuteStopped(path_, {"program", "600"}));
    ASSERT_GT(child_->pid(), 0);
    opened_ = *OpenExecutable(ProcOf(*child_));
  }
  [[nodiscard]] ExecutableName Name() const { return ReadExecutableName(Proc(), ProcOf(*child_)); }
  [[nodiscard]] bool Reachable() const { return IsReachable(Proc(), ProcOf(*child_), Name(), opened_); }
  void ExpectName(bool deleted) const {
    EXPECT_EQ(Name().path, path_);
    EXPECT_EQ(Name().deleted, deleted);
    EXPECT_EQ(Reachable(), !deleted);
    EXPECT_FALSE(Name().too_long);
  }

  TemporaryFolder folder_;
  std::string path_;
  std::unique_ptr<Child> child_;
  Fd opened_;
};

TEST_F(ExecutableTest, HasItsName) {
  Start("program");
  ExpectName(false);
}

TEST_F(ExecutableTest, IsNotFooledByOneThatIsCalledDeleted) {
  Start("program (deleted)");
  ExpectName(false);
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  ExpectName(true);
}

TEST_F(ExecutableTest, WithoutName) {
  Start("program");
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  ExpectName(true);
}

TEST_F(ExecutableTest, OfWhichAnotherLinkIsLeft) {
  Start("program");
  ASSERT_EQ(::link(path_.c_str(), (folder_ / "other").c_str()), 0);
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  ExpectName(true);
}

TEST_F(ExecutableTest, InWhosePlaceAnotherFileIs) {
  Start("program");
  ASSERT_EQ(::link(path_.c_str(), (folder_ / "other").c_str()), 0);
  std::filesystem::copy_file("/bin/true", folder_ / "new");
  ASSERT_EQ(::rename((folder_ / "new").c_str(), path_.c_str()), 0);
  ExpectName(true);
}

TEST_F(ExecutableTest, IsNotTheFileThatIsCalledAsTheKernelNamesIt) {
  Start("program");
  ASSERT_EQ(::link(path_.c_str(), (folder_ / "other").c_str()), 0);
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  std::filesystem::copy_file("/bin/true", path_ + " (deleted)");
  ExpectName(true);
}

TEST_F(ExecutableTest, ThatWasRenamed) {
  Start("program");
  ASSERT_EQ(::rename(path_.c_str(), (folder_ / "elsewhere").c_str()), 0);
  path_ = folder_ / "elsewhere";
  ExpectName(false);
}

TEST_F(ExecutableTest, OfMemory) {
  const Fd memory(::memfd_create("program", MFD_CLOEXEC));
  ASSERT_THAT(WriteAll(memory, ReadFile("/bin/sleep", 1 << 24)->text), Succeeds());
  child_ = std::make_unique<Child>(
      ExecuteStopped(fmt::format("/proc/self/fd/{}", memory.get()), {"program", "600"}));
  ASSERT_GT(child_->pid(), 0);
  opened_ = *OpenExecutable(ProcOf(*child_));
  path_ = "/memfd:program";
  ExpectName(true);
}

TEST_F(ExecutableTest, WithANameThatIsLongerThanTheKernelTells) {
  // Each step is short enough.
  const std::string step(200, 'd');
  child_ = std::make_unique<Child>(::fork());
  if (child_->pid() == 0) {
    bool made = ::chdir(folder_.path().c_str()) == 0;
    for (int i = 0; i < 25; ++i)
      made = made && ::mkdir(step.c_str(), 0700) == 0 && ::chdir(step.c_str()) == 0;
    if (!made) ::_exit(1);
    std::filesystem::copy_file("/bin/sleep", "program");
    ::execl("./program", "program", "600", nullptr);
    ::_exit(1);
  }
  const Fd dir = ProcOf(*child_);
  while (ReadFileAt(dir, "comm", 64)->text != "program\n") ::sched_yield();
  EXPECT_EQ(Name().path, "");
  EXPECT_TRUE(Name().too_long);
  EXPECT_FALSE(IsReachable(Proc(), dir, Name(), *OpenExecutable(dir)));
}

TEST_F(ExecutableTest, IsFoundWhateverBecameOfItsName) {
  Start("program");
  struct stat before{}, found{};
  ASSERT_EQ(::stat(path_.c_str(), &before), 0);
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  const auto executable = OpenExecutable(ProcOf(*child_));
  ASSERT_THAT(executable, Succeeds());
  ASSERT_EQ(::fstat(executable->get(), &found), 0);
  EXPECT_EQ(found.st_ino, before.st_ino);
  EXPECT_NE(::fcntl(executable->get(), F_GETFL) & O_PATH, 0);
}

TEST(OpenExecutable, FailsWhereThereIsNone) {
  EXPECT_THAT(OpenExecutable(*Open("/proc/self/task", O_RDONLY | O_DIRECTORY)), FailsWith(ENOENT));
}

}  // namespace
}  // namespace obit
