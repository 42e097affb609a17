#include "process/launcher.h"

#include <array>
#include <csignal>
#include <functional>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/capabilities.h"
#include "base/io.h"
#include "base/test_limits.h"
#include "base/test_support.h"
#include "process/command.h"
#include "process/launch.h"

namespace obit {
namespace {

using ::testing::AllOf;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::Succeeds;
using testing::TemporaryFolder;

class LauncherTest : public ::testing::Test {
 protected:
  using Start = std::function<Result<Launched>(const Launch&)>;

  /// Runs a shell's `commands` by the launcher, and returns what they printed.
  std::string Run(const Launcher& launcher, const std::string& commands, std::vector<int> more = {}) {
    return Run([&](const Launch& launch) { return launcher.Start(launch); }, commands, std::move(more));
  }
  std::string Run(const Start& start, const std::string& commands, std::vector<int> more = {}) {
    const Fd output = *Open(folder_ / "output", O_RDWR | O_CREAT | O_TRUNC, 0600);
    const Fd nothing = *Open("/dev/null", O_RDONLY);
    Launch launch{.program = "/bin/sh",
                  .arguments = {"-c", commands, "argument"},
                  .environment = {"COLOUR=red"},
                  .fds = {nothing.get(), output.get(), output.get()}};
    launch.fds.insert(launch.fds.end(), more.begin(), more.end());
    const auto launched = start(launch);
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

TEST_F(LauncherTest, StartsChildrenOfItsCaller) {
  const auto launcher = Launcher::Fork({});
  ASSERT_THAT(launcher, Succeeds());
  EXPECT_EQ(Run(*launcher, "echo $0 $PPID $COLOUR"), fmt::format("argument {} red\n", ::getpid()));
}

TEST_F(LauncherTest, GivesThemNothingOfItsOwn) {
  std::vector<Fd> own;
  for (int number = 4; number < 12; ++number) {  // whatever number the program's descriptors end at
    own.push_back(*Open(folder_ / "own", O_RDWR | O_CREAT, 0600));
    ::fcntl(own.back().get(), F_SETFD, 0);
  }
  const Fd given = *Open(folder_ / "given", O_RDWR | O_CREAT, 0600);
  const auto launcher = Launcher::Fork({"/bin/true"});
  ASSERT_THAT(launcher, Succeeds());
  const std::string seen = Run(*launcher, "ls -l /proc/self/fd; grep ^Cap /proc/self/status", {given.get()});
  EXPECT_THAT(seen, HasSubstr(" 3 -> " + folder_.path() + "/given"));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("/own")));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("socket")));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("/true")));
}

TEST_F(LauncherTest, NorDoesWhoStartsThemWithoutOne) {
  const Fd own = *Open(folder_ / "own", O_RDWR | O_CREAT, 0600);
  ::fcntl(own.get(), F_SETFD, 0);
  const Start start = [](const Launch& launch) { return LaunchProgram(launch, Fd(), LaunchParent::kCaller); };
  EXPECT_THAT(Run(start, "ls -l /proc/self/fd"),
              AllOf(HasSubstr("/output"), ::testing::Not(HasSubstr("/own"))));
}

TEST_F(LauncherTest, KeepsNoneOfItsCallers) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const auto launcher = Launcher::Fork({"/bin/true"});
  ASSERT_THAT(launcher, Succeeds());
  writer.Reset();
  pollfd ended{reader.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 5'000), 1) << "it has the other end";
}

TEST_F(LauncherTest, PassesMoreDescriptorsThanFitInOneMessage) {
  if (!testing::AllowDescriptors(1024)) GTEST_SKIP() << "RLIMIT_NOFILE is lower";
  const auto launcher = Launcher::Fork({});
  ASSERT_THAT(launcher, Succeeds());
  const Fd file = *Open(folder_ / "file", O_RDWR | O_CREAT, 0600);
  EXPECT_EQ(Run(*launcher, "ls -l /proc/self/fd | grep -c /file", std::vector<int>(600, file.get())),
            "600\n");
}

TEST_F(LauncherTest, KnowsItsProgramsWhereverTheyAreThen) {
  ASSERT_EQ(::mkdir((folder_ / "bin").c_str(), 0700), 0);
  ASSERT_EQ(::system(("cp /bin/true " + (folder_ / "bin/program")).c_str()), 0);
  const std::string program = folder_ / "bin/program";
  const auto launcher = Launcher::Fork({program, folder_ / "missing"});
  ASSERT_THAT(launcher, Succeeds());
  ASSERT_EQ(::unlink(program.c_str()), 0);
  const auto launched = launcher->Start({.program = program});
  ASSERT_THAT(launched, Succeeds());
  EXPECT_EQ(launched->error, 0);
  int status = -1;
  ::waitpid(launched->pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(LauncherTest, SaysWhatDoesNotStart) {
  const auto launcher = Launcher::Fork({});
  ASSERT_THAT(launcher, Succeeds());
  const auto launched = launcher->Start({.program = folder_ / "missing"});
  ASSERT_THAT(launched, Succeeds());
  EXPECT_EQ(launched->error, ENOENT);
  EXPECT_EQ(::waitpid(launched->pid, nullptr, 0), launched->pid);
  EXPECT_THAT(launcher->Start({.program = "/bin/true", .arguments = {std::string(200'000, 'x')}}),
              FailsWith(E2BIG));
  EXPECT_EQ(Run(*launcher, "echo goes on"), "goes on\n");
}

TEST_F(LauncherTest, ItsProgramsDieWithTheirParent) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  testing::Child child(::fork());
  if (child.pid() == 0) {
    const auto launcher = Launcher::Fork({});
    const Fd nothing = *Open("/dev/null", O_RDWR);
    const int fd = nothing.get();
    const auto launched =
        launcher->Start({.program = "/bin/sleep", .arguments = {"1000"}, .fds = {fd, fd, fd}});
    ASSERT_THAT(WriteFileAtomically(folder_.fd(), "pid", fmt::format("{}", launched->pid), 0600), Succeeds());
    ::raise(SIGKILL);
  }
  EXPECT_EQ(testing::OutcomeOf(child.Wait()), (testing::Outcome{0, SIGKILL}));
  const pid_t program = std::stoi(ReadFile(folder_ / "pid", 100)->text);
  int status = 0;
  EXPECT_EQ(::waitpid(program, &status, 0), program);
  EXPECT_EQ(testing::OutcomeOf(status), (testing::Outcome{0, SIGKILL}));
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_F(LauncherTest, IsNotWaitedForWhenItHangs) {
  const auto launcher = Launcher::Fork({});
  ASSERT_THAT(launcher, Succeeds());
  ::kill(launcher->pid(), SIGSTOP);
  EXPECT_THAT(launcher->Start({.program = "/bin/true"}), FailsWith(ETIMEDOUT));
  int status = 0;
  EXPECT_EQ(::waitpid(launcher->pid(), &status, 0), launcher->pid());
  EXPECT_EQ(testing::OutcomeOf(status), (testing::Outcome{0, SIGKILL}));
  EXPECT_FALSE(launcher->Start({.program = "/bin/true"}));
}

TEST_F(LauncherTest, HasNoCapability) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  // In a child: what is given up here cannot be had back.
  testing::Child child(::fork());
  if (child.pid() == 0) {
    if (!ForbidNewPrivileges()) ::_exit(1);
    const auto launcher = Launcher::Fork({});
    const std::string seen = Run(*launcher, "grep -E '^(Cap(Eff|Prm|Bnd)|NoNewPrivs)' /proc/self/status");
    ::_exit(seen == "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
                    "NoNewPrivs:\t1\n"
                ? 0
                : 2);
  }
  EXPECT_EQ(child.Wait(), 0);
}

}  // namespace
}  // namespace obit
