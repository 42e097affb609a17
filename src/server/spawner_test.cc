#include "server/spawner.h"

#include <csignal>

#include <sys/stat.h>
#include <sys/wait.h>

#include "base/capabilities.h"
#include "base/io.h"
#include "base/test_limits.h"
#include "base/test_support.h"
#include "server/command.h"

namespace obit {
namespace {

using ::testing::AllOf;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Succeeds;
using testing::TemporaryFolder;

class SpawnerTest : public ::testing::Test {
 protected:
  /// Runs a shell's `commands` by the spawner, and returns what they printed.
  std::string Run(const Spawner& spawner, const std::string& commands, std::vector<int> more = {}) {
    const Fd output = *Open(folder_ / "output", O_RDWR | O_CREAT | O_TRUNC, 0600);
    const Fd nothing = *Open("/dev/null", O_RDONLY);
    Launch launch{.program = "/bin/sh",
                  .arguments = {"-c", commands, "argument"},
                  .environment = {"COLOUR=red"},
                  .fds = {nothing.get(), output.get(), output.get()}};
    launch.fds.insert(launch.fds.end(), more.begin(), more.end());
    const auto launched = spawner.Start(launch);
    EXPECT_THAT(launched, Succeeds());
    if (!launched) return {};
    EXPECT_EQ(launched->error, 0);
    int status = 0;
    EXPECT_EQ(::waitpid(launched->pid, &status, 0), launched->pid) << "it is not a child of this process";
    EXPECT_EQ(status, 0);
    return ReadFile(folder_ / "output", 1 << 20)->text;
  }
  TemporaryFolder folder_;
};

TEST_F(SpawnerTest, StartsChildrenOfItsCaller) {
  const auto spawner = Spawner::Fork({});
  ASSERT_THAT(spawner, Succeeds());
  EXPECT_EQ(Run(*spawner, "echo $0 $PPID $COLOUR"), fmt::format("argument {} red\n", ::getpid()));
}

TEST_F(SpawnerTest, GivesThemNothingOfItsOwn) {
  const Fd own = *Open(folder_ / "own", O_RDWR | O_CREAT, 0600);
  const Fd given = *Open(folder_ / "given", O_RDWR | O_CREAT, 0600);
  const auto spawner = Spawner::Fork({"/bin/true"});
  ASSERT_THAT(spawner, Succeeds());
  const std::string seen = Run(*spawner, "ls -l /proc/self/fd; grep ^Cap /proc/self/status", {given.get()});
  EXPECT_THAT(seen, HasSubstr(" 3 -> " + folder_.path() + "/given"));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("/own")));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("socket")));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("/true")));
}

TEST_F(SpawnerTest, PassesMoreDescriptorsThanFitInOneMessage) {
  if (!testing::AllowDescriptors(1024)) GTEST_SKIP() << "RLIMIT_NOFILE is lower";
  const auto spawner = Spawner::Fork({});
  ASSERT_THAT(spawner, Succeeds());
  const Fd file = *Open(folder_ / "file", O_RDWR | O_CREAT, 0600);
  EXPECT_EQ(Run(*spawner, "ls -l /proc/self/fd | grep -c /file", std::vector<int>(600, file.get())), "600\n");
}

TEST_F(SpawnerTest, KnowsItsProgramsWhereverTheyAreThen) {
  ASSERT_EQ(::mkdir((folder_ / "bin").c_str(), 0700), 0);
  ASSERT_EQ(::system(("cp /bin/true " + (folder_ / "bin/program")).c_str()), 0);
  const std::string program = folder_ / "bin/program";
  const auto spawner = Spawner::Fork({program, folder_ / "missing"});
  ASSERT_THAT(spawner, Succeeds());
  ASSERT_EQ(::unlink(program.c_str()), 0);
  const auto launched = spawner->Start({.program = program});
  ASSERT_THAT(launched, Succeeds());
  EXPECT_EQ(launched->error, 0);
  int status = -1;
  ::waitpid(launched->pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(SpawnerTest, SaysWhatDoesNotStart) {
  const auto spawner = Spawner::Fork({});
  ASSERT_THAT(spawner, Succeeds());
  const auto launched = spawner->Start({.program = folder_ / "missing"});
  ASSERT_THAT(launched, Succeeds());
  EXPECT_EQ(launched->error, ENOENT);
  EXPECT_EQ(::waitpid(launched->pid, nullptr, 0), launched->pid);
  EXPECT_THAT(spawner->Start({.program = "/bin/true", .arguments = {std::string(200'000, 'x')}}),
              FailsWith(E2BIG));
  EXPECT_EQ(Run(*spawner, "echo goes on"), "goes on\n");
}

TEST_F(SpawnerTest, HasNoCapability) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  // In a child: what is given up here cannot be had back.
  testing::Child child(::fork());
  if (child.pid() == 0) {
    if (!ForbidNewPrivileges()) ::_exit(1);
    const auto spawner = Spawner::Fork({});
    const std::string seen = Run(*spawner, "grep -E '^(Cap(Eff|Prm|Bnd)|NoNewPrivs)' /proc/self/status");
    ::_exit(seen == "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
                    "NoNewPrivs:\t1\n"
                ? 0
                : 2);
  }
  EXPECT_EQ(child.Wait(), 0);
}

}  // namespace
}  // namespace obit
