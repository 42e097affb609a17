#include "kernel/process.h"

#include <barrier>
#include <filesystem>
#include <thread>

#include <grp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/test_support.h"
#include "kernel/process_thread.h"

namespace obit {
namespace {

using ::testing::AllOf;
using testing::Child;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::ExecuteStopped;
using testing::FailsWith;
using ::testing::Ne;
using ::testing::StartsWith;
using testing::Succeeds;

ProcessFacts FactsOf(pid_t pid) {
  const auto proc = Open("/proc", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(proc, Succeeds());
  const auto dir = OpenThread(*proc, pid, FindDumpingThread(*proc, pid));
  if (!dir) return {};
  ProcessFacts facts = ReadSafeFacts(*proc, *dir, pid);
  ReadRiskyFacts(*proc, *dir, facts);
  return facts;
}

Child Sleep(unsigned long namespaces = 0) {
  return ExecuteStopped("/bin/sleep", {"sleep", "600"}, namespaces);
}

TEST(ProcessFacts, TellsWhoAndWhatAProcessIs) {
  const Child child = Sleep();
  const ProcessFacts facts = FactsOf(child.pid());
  EXPECT_EQ(facts.pid, child.pid());
  EXPECT_EQ(facts.parent, ::getpid());
  EXPECT_EQ(facts.comm, "sleep");
  EXPECT_EQ(facts.exe, std::filesystem::canonical("/bin/sleep"));
  EXPECT_FALSE(facts.exe_deleted);
  EXPECT_THAT(facts.cmdline, ElementsAre("sleep", "600"));
  EXPECT_FALSE(facts.cmdline_truncated);
  EXPECT_EQ(facts.cwd, std::filesystem::current_path());
  EXPECT_EQ(facts.root, "/");
  EXPECT_EQ(facts.own_pid, child.pid());
  EXPECT_EQ(facts.threads, 1u);
  ASSERT_TRUE(facts.resident_bytes && facts.virtual_bytes);
  EXPECT_GE(*facts.resident_bytes, 4096u);
  EXPECT_GT(*facts.virtual_bytes, *facts.resident_bytes);
}

TEST(ProcessFacts, TellsWhenTheProcessBegan) {
  const std::int64_t before = RealtimeNow();
  const Child child = Sleep();
  constexpr std::int64_t kSlack = 2'000'000'000;  // ticks are coarse, and the clock may be set
  const auto started = FactsOf(child.pid()).started;
  ASSERT_TRUE(started);
  EXPECT_GE(*started, before - kSlack);
  EXPECT_LE(*started, RealtimeNow() + kSlack);
}

TEST(ProcessFacts, SaysNothingOfADumpThatIsNotThere) {
  const ProcessFacts facts = FactsOf(::getpid());
  EXPECT_EQ(facts.pid, ::getpid());
  EXPECT_FALSE(facts.signal);
  EXPECT_FALSE(facts.crashing);
}

TEST(ProcessFacts, CountsThreads) {
  std::barrier ended(2);
  std::jthread other([&] { ended.arrive_and_wait(); });
  EXPECT_GE(FactsOf(::getpid()).threads, 2u);
  ended.arrive_and_wait();
}

TEST(ProcessFacts, KeepsEmptyArguments) {
  const Child child = ExecuteStopped("/bin/sleep", {"", "a b", "", "\xff\n", "", ""});
  EXPECT_THAT(FactsOf(child.pid()).cmdline, ElementsAre("", "a b", "", "\xff\n", "", ""));
}

TEST(ProcessFacts, TellsASingleEmptyArgumentFromNone) {
  const Child child = ExecuteStopped("/bin/sleep", {""});
  EXPECT_THAT(FactsOf(child.pid()).cmdline, ElementsAre(""));
}

TEST(ProcessFacts, CutsALongCommandLineAndSaysSo) {
  const std::string fits(kCmdlineMax - 7, 'x');  // with "sleep" and two NULs it is full
  const Child full = ExecuteStopped("/bin/sleep", {"sleep", fits});
  EXPECT_THAT(FactsOf(full.pid()).cmdline, ElementsAre("sleep", fits));
  EXPECT_FALSE(FactsOf(full.pid()).cmdline_truncated);
  const Child cut = ExecuteStopped("/bin/sleep", {"sleep", fits + "xx"});
  EXPECT_THAT(FactsOf(cut.pid()).cmdline, ElementsAre("sleep", fits + "x"));
  EXPECT_TRUE(FactsOf(cut.pid()).cmdline_truncated);
}

TEST(ProcessFacts, KnowsTheProcessByBothItsPids) {
  const Child child = Sleep(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET);
  if (::geteuid() != 0) {
    EXPECT_EQ(child.pid(), -1);  // only root may make namespaces
    return;
  }
  const ProcessFacts facts = FactsOf(child.pid()), own = FactsOf(::getpid());
  EXPECT_EQ(facts.pid, child.pid());
  EXPECT_EQ(facts.own_pid, 1);
  EXPECT_THAT(facts.pid_namespace, AllOf(StartsWith("pid:["), Ne(own.pid_namespace)));
  EXPECT_THAT(facts.mount_namespace, AllOf(StartsWith("mnt:["), Ne(own.mount_namespace)));
  EXPECT_THAT(facts.network_namespace, AllOf(StartsWith("net:["), Ne(own.network_namespace)));
  EXPECT_THAT(facts.user_namespace, AllOf(StartsWith("user:["), Eq(own.user_namespace)));
}

TEST(SafeFacts, LeaveTheCommandLineAlone) {
  const Child child = Sleep();
  const Fd proc = *Open("/proc", O_RDONLY | O_DIRECTORY);
  const Fd dir = *OpenThread(proc, child.pid(), child.pid());
  ProcessFacts facts = ReadSafeFacts(proc, dir, child.pid());
  EXPECT_EQ(facts.comm, "sleep");
  EXPECT_EQ(facts.exe, std::filesystem::canonical("/bin/sleep"));
  EXPECT_EQ(facts.cwd, std::filesystem::current_path());
  EXPECT_EQ(facts.secure, false);
  EXPECT_THAT(facts.pid_namespace, StartsWith("pid:["));
  EXPECT_TRUE(facts.cmdline.empty());
  ReadRiskyFacts(proc, dir, facts);
  EXPECT_THAT(facts.cmdline, ElementsAre("sleep", "600"));
}

TEST(IsCapable, LeavesOutWhatEveryLoginHas) {
  EXPECT_EQ(IsCapable("0000000000000000"), false);
  EXPECT_EQ(IsCapable("0000000800000000"), false) << "CAP_WAKE_ALARM";
  EXPECT_EQ(IsCapable("0000000000002000"), true) << "CAP_NET_RAW";
  EXPECT_EQ(IsCapable("0000000800002000"), true);
  EXPECT_EQ(IsCapable("000001ffffffffff"), true);
  EXPECT_EQ(IsCapable(""), std::nullopt);
  EXPECT_EQ(IsCapable("none"), std::nullopt);
}

TEST(ProcessFacts, DoesNotTakeTheCapabilitiesOfAnotherUserNamespaceForRights) {
  EXPECT_EQ(FactsOf(Sleep().pid()).capable, ::geteuid() == 0);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]), writer(ends[1]);
  const Child child(::fork());
  if (child.pid() == 0) {  // has all of them there, as long as it executes nothing
    (void)!::write(writer.get(), ::unshare(CLONE_NEWUSER) == 0 ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char changed = 0;
  ASSERT_EQ(::read(reader.get(), &changed, 1), 1);
  if (changed != 'y') GTEST_SKIP() << "needs user namespaces";
  EXPECT_EQ(FactsOf(child.pid()).capable, false);
}

TEST(ProcessFacts, TellsRealAndEffectiveIdsApart) {
  const Child child = Sleep();
  ProcessFacts facts = FactsOf(child.pid());
  EXPECT_EQ(facts.uid, ::getuid());
  EXPECT_EQ(facts.gid, ::getgid());
  if (::geteuid() != 0) return;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]), writer(ends[1]);
  const Child other(::fork());
  if (other.pid() == 0) {
    const bool changed = ::setresgid(11, 12, 12) == 0 && ::setresuid(21, 22, 22) == 0;
    (void)!::write(writer.get(), changed ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char changed = 0;
  ASSERT_EQ(::read(reader.get(), &changed, 1), 1);
  ASSERT_EQ(changed, 'y');
  facts = FactsOf(other.pid());
  EXPECT_EQ(facts.uid, 21u);
  EXPECT_EQ(facts.euid, 22u);
  EXPECT_EQ(facts.gid, 11u);
  EXPECT_EQ(facts.egid, 12u);
}

/// Facts of a process that is in `count` groups with numbers of ten digits. Nothing: nobody may do that.
std::optional<ProcessFacts> FactsWithGroups(int count) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return std::nullopt;
  const Fd reader(ends[0]), writer(ends[1]);
  const Child child(::fork());
  if (child.pid() == 0) {
    std::vector<gid_t> groups;
    for (int i = 0; i < count; ++i) groups.push_back(4'000'000'000U + static_cast<gid_t>(i));
    const bool joined = ::setgroups(groups.size(), groups.data()) == 0 && ::setresuid(21, 21, 21) == 0;
    (void)!::write(writer.get(), joined ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char joined = 0;
  if (::read(reader.get(), &joined, 1) != 1 || joined != 'y') return std::nullopt;
  return FactsOf(child.pid());
}

TEST(ProcessFacts, LosesNothingBehindManyGroups) {
  for (const int count : {1500, 3000, 65536}) {
    const auto facts = FactsWithGroups(count);
    if (!facts) GTEST_SKIP() << "not root: it may join no groups";
    EXPECT_EQ(facts->uid, 21u);
    EXPECT_EQ(facts->one_identity, true);
    EXPECT_EQ(facts->capable, false) << "with " << count;
    EXPECT_EQ(facts->threads, 1u);
    EXPECT_TRUE(facts->own_pid && facts->virtual_bytes && facts->resident_bytes);
  }
}

TEST(ProcessFacts, TellsTheSoftCoreLimit) {
  const Child child = Sleep();
  rlimit limit{};
  ASSERT_EQ(::prlimit(child.pid(), RLIMIT_CORE, nullptr, &limit), 0);
  for (const rlim_t soft : {rlim_t{0}, rlim_t{4096}, limit.rlim_max}) {
    if (soft > limit.rlim_max) continue;
    const rlimit wanted{soft, limit.rlim_max};
    ASSERT_EQ(::prlimit(child.pid(), RLIMIT_CORE, &wanted, nullptr), 0);
    EXPECT_EQ(FactsOf(child.pid()).core_limit, soft == RLIM_INFINITY ? UINT64_MAX : soft);
  }
}

TEST(ProcessFacts, TellsTheCgroup) {
  const Child child = Sleep();
  const auto text = ReadFile("/proc/self/cgroup", 4096)->text;
  EXPECT_TRUE(text.empty() || FactsOf(child.pid()).cgroup.starts_with('/')) << text;
  const auto unified = UnifiedCgroup(*Open("/proc/self", O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(unified.has_value(), text.starts_with("0::") || text.find("\n0::") != std::string::npos) << text;
  EXPECT_EQ(unified.value_or(FactsOf(child.pid()).cgroup), FactsOf(child.pid()).cgroup);
}

TEST(ProcessFacts, KeepsToItselfWhatAZombieHasLost) {
  Child child = Sleep();
  ::kill(child.pid(), SIGKILL);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, child.pid(), &ended, WEXITED | WNOWAIT), 0);
  const ProcessFacts facts = FactsOf(child.pid());
  EXPECT_EQ(facts.comm, "sleep");
  EXPECT_TRUE(facts.exe.empty());
  EXPECT_TRUE(facts.cmdline.empty());
  EXPECT_FALSE(facts.resident_bytes);
}

}  // namespace
}  // namespace obit
