#include "server/process_inspector.h"

#include <csignal>
#include <filesystem>

#include <sys/wait.h>

#include "base/test_support.h"
#include "base/text.h"

namespace obit {
namespace {

using testing::Child;
using testing::ExecuteStopped;
using testing::FailsWith;
using testing::Succeeds;

class KernelInspectorTest : public ::testing::Test {
 protected:
  KernelInspectorTest() : pidfd_(*OpenPidfd(child_.pid())) {}
  Subject Sleep() {
    return inspector_.SubjectOf(pidfd_, {.pid = child_.pid(), .dump_mode = DumpMode::kUser});
  }

  Child child_ = ExecuteStopped("/bin/sleep", {"sleep", "600"});
  Fd pidfd_;
  KernelInspector inspector_ = *KernelInspector::Create();
};

TEST_F(KernelInspectorTest, LooksAtTheFirstThreadOfAProcessThatDumpsNothing) {
  const Subject subject = Sleep();
  EXPECT_EQ(subject.tid, child_.pid());
  EXPECT_EQ(subject.info.pid, child_.pid());
  const bool tells_privileged = Trim(ReadFile("/proc/sys/fs/suid_dumpable", 16)->text) != "1";
  EXPECT_EQ(subject.info.dump_mode, tells_privileged ? DumpMode::kUser : DumpMode::kRoot);
}

TEST_F(KernelInspectorTest, TellsAllOfAProcessThatIsThere) {
  const Subject subject = Sleep();
  const auto safe = inspector_.SafeFacts(subject);
  ASSERT_THAT(safe, Succeeds());
  EXPECT_EQ(safe->comm, "sleep");
  EXPECT_EQ(safe->exe, std::filesystem::canonical("/bin/sleep"));
  EXPECT_TRUE(safe->cmdline.empty());
  const auto all = inspector_.RiskyFacts(subject, *safe);
  ASSERT_THAT(all, Succeeds());
  EXPECT_EQ(all->comm, "sleep");
  EXPECT_THAT(all->cmdline, ::testing::ElementsAre("sleep", "600"));
  const auto program = inspector_.Program(subject);
  ASSERT_THAT(program, Succeeds());
  EXPECT_TRUE(program->file);
  EXPECT_TRUE(program->reachable);
  EXPECT_THAT(inspector_.Memory(subject), Succeeds());
  EXPECT_THAT(inspector_.MappedFiles(subject), Succeeds());
  EXPECT_THAT(inspector_.PlaceOf(subject.info), FailsWith(ENOENT)) << "it dumps no core";
}

TEST_F(KernelInspectorTest, TellsHowAProcessGetsOnThatASignalHasKilled) {
  ::kill(child_.pid(), SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child_.pid()), &info, WEXITED | WNOWAIT), 0);
  const auto activity = inspector_.ActivityOf(Sleep());
  ASSERT_THAT(activity, Succeeds());
  EXPECT_EQ(activity->comm, "sleep");
  EXPECT_FALSE(activity->runs);
}

/// It may be a stranger, who got the pid of one that crashed.
TEST_F(KernelInspectorTest, DoesNotKnowHowAProcessGetsOnThatHasNotCrashed) {
  EXPECT_THAT(inspector_.ActivityOf(Sleep()), FailsWith(ENOENT));
  const Fd self = *OpenPidfd(::getpid());
  EXPECT_THAT(inspector_.ActivityOf({self, {.pid = ::getpid()}, ::getpid()}), FailsWith(ENOENT));
}

/// Another process may have the pid by then: here, this one.
TEST_F(KernelInspectorTest, TellsNothingOnceThePidMayBeAnothers) {
  ::kill(child_.pid(), SIGKILL);
  child_.Wait();
  const Subject subject = inspector_.SubjectOf(pidfd_, {.pid = ::getpid()});
  EXPECT_THAT(inspector_.SafeFacts(subject), FailsWith(ESRCH));
  EXPECT_THAT(inspector_.RiskyFacts(subject, {}), FailsWith(ESRCH));
  EXPECT_THAT(inspector_.Program(subject), FailsWith(ESRCH));
  EXPECT_THAT(inspector_.Memory(subject), FailsWith(ESRCH));
  EXPECT_THAT(inspector_.MappedFiles(subject), FailsWith(ESRCH));
  EXPECT_THAT(inspector_.ActivityOf(subject), FailsWith(ESRCH));
}

}  // namespace
}  // namespace obit
