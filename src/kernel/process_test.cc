#include "kernel/process.h"

#include <barrier>
#include <filesystem>
#include <thread>

#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/test_support.h"

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

/// A stat line whose field n holds 100 + n, but for the first two.
std::string StatLine(std::string_view comm) {
  std::string line = "4242 (" + std::string(comm) + ") R";
  for (int field = 4; field <= 52; ++field) line += " " + std::to_string(100 + field);
  return line + "\n";
}

TEST(ParseProcessStat, FindsEachFieldAtItsPlace) {
  const auto stat = ParseProcessStat(StatLine("sleep"));
  ASSERT_THAT(stat, Succeeds());
  EXPECT_EQ(stat->id, 4242);
  EXPECT_EQ(stat->comm, "sleep");
  EXPECT_EQ(stat->parent, 104);
  EXPECT_EQ(stat->flags, 109u);
  EXPECT_EQ(stat->start_ticks, 122u);
  EXPECT_EQ(stat->sp, 129u);
  EXPECT_EQ(stat->pc, 130u);
  EXPECT_EQ(stat->exit_code, 152);
}

TEST(ParseProcessStat, TakesACommThatLooksLikeTheRest) {
  for (const char* comm : {"", ") ) x(", ") R 1 2 3", "a\nb", "((", "))", "1 (x) R 1", "\xff\x1b[2J"}) {
    const auto stat = ParseProcessStat(StatLine(comm));
    ASSERT_THAT(stat, Succeeds()) << comm;
    EXPECT_EQ(stat->comm, comm);
    EXPECT_EQ(stat->pc, 130u);
  }
}

TEST(ParseProcessStat, TakesMoreFieldsOfANewerKernel) {
  std::string line = StatLine("x");
  line.insert(line.size() - 1, " 153 154");
  EXPECT_THAT(ParseProcessStat(line), Succeeds());
}

TEST(ParseProcessStat, RefusesEveryTruncation) {
  const std::string whole = StatLine("a ) b");
  const std::size_t last_field = whole.rfind(' ');
  for (std::size_t n = 0; n <= last_field; ++n)
    EXPECT_THAT(ParseProcessStat(whole.substr(0, n)), FailsWith(EBADMSG)) << n;
}

TEST(ParseProcessStat, RefusesFieldsThatAreNoNumbers) {
  for (const char* field : {" 104 ", " 109 ", " 122 ", " 129 ", " 130 ", " 152\n"}) {
    std::string line = StatLine("x");
    line.replace(line.find(field), std::string_view(field).size(), " -1x ");
    EXPECT_THAT(ParseProcessStat(line), FailsWith(EBADMSG)) << field;
  }
}

TEST(ParseProcessStat, RefusesParenthesesTheWrongWayRound) {
  EXPECT_THAT(ParseProcessStat("1 )x( R 1 2 3"), FailsWith(EBADMSG));
  EXPECT_THAT(ParseProcessStat("(x) R 1 2 3"), FailsWith(EBADMSG));
}

ProcessFacts FactsOf(pid_t pid) {
  const auto proc = Open("/proc", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(proc, Succeeds());
  return ReadProcessFacts(*proc, pid);
}

Child Sleep(unsigned long namespaces = 0) {
  return ExecuteStopped("/bin/sleep", {"sleep", "600"}, namespaces);
}

TEST(ReadProcessFacts, TellsWhoAndWhatAProcessIs) {
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

TEST(ReadProcessFacts, TellsWhenTheProcessBegan) {
  const std::int64_t before = RealtimeNow();
  const Child child = Sleep();
  constexpr std::int64_t kSlack = 2'000'000'000;  // ticks are coarse, and the clock may be set
  const auto started = FactsOf(child.pid()).started;
  ASSERT_TRUE(started);
  EXPECT_GE(*started, before - kSlack);
  EXPECT_LE(*started, RealtimeNow() + kSlack);
}

TEST(ReadProcessFacts, SaysNothingOfADumpThatIsNotThere) {
  const ProcessFacts facts = FactsOf(::getpid());
  EXPECT_EQ(facts.pid, ::getpid());
  EXPECT_FALSE(facts.signal);
  EXPECT_FALSE(facts.crashing);
}

TEST(ReadProcessFacts, CountsThreads) {
  std::barrier ended(2);
  std::jthread other([&] { ended.arrive_and_wait(); });
  EXPECT_GE(FactsOf(::getpid()).threads, 2u);
  ended.arrive_and_wait();
}

TEST(ReadProcessFacts, KeepsEmptyArguments) {
  const Child child = ExecuteStopped("/bin/sleep", {"", "a b", "", "\xff\n", "", ""});
  EXPECT_THAT(FactsOf(child.pid()).cmdline, ElementsAre("", "a b", "", "\xff\n", "", ""));
}

TEST(ReadProcessFacts, TellsASingleEmptyArgumentFromNone) {
  const Child child = ExecuteStopped("/bin/sleep", {""});
  EXPECT_THAT(FactsOf(child.pid()).cmdline, ElementsAre(""));
}

TEST(ReadProcessFacts, CutsALongCommandLineAndSaysSo) {
  const std::string fits(kCmdlineMax - 7, 'x');  // with "sleep" and two NULs it is full
  const Child full = ExecuteStopped("/bin/sleep", {"sleep", fits});
  EXPECT_THAT(FactsOf(full.pid()).cmdline, ElementsAre("sleep", fits));
  EXPECT_FALSE(FactsOf(full.pid()).cmdline_truncated);
  const Child cut = ExecuteStopped("/bin/sleep", {"sleep", fits + "xx"});
  EXPECT_THAT(FactsOf(cut.pid()).cmdline, ElementsAre("sleep", fits + "x"));
  EXPECT_TRUE(FactsOf(cut.pid()).cmdline_truncated);
}

TEST(ReadProcessFacts, NamesADeletedProgramWithoutTheKernelsSuffix) {
  const testing::TemporaryFolder folder;
  const std::string program = folder / "program";
  std::filesystem::copy_file("/bin/sleep", program);
  const Child child = ExecuteStopped(program, {"program", "600"});
  ASSERT_GT(child.pid(), 0);
  EXPECT_FALSE(FactsOf(child.pid()).exe_deleted);
  ASSERT_EQ(::unlink(program.c_str()), 0);
  EXPECT_EQ(FactsOf(child.pid()).exe, program);
  EXPECT_TRUE(FactsOf(child.pid()).exe_deleted);
}

TEST(ReadProcessFacts, IsNotFooledByAProgramThatIsCalledDeleted) {
  const testing::TemporaryFolder folder;
  const std::string program = folder / "program (deleted)";
  std::filesystem::copy_file("/bin/sleep", program);
  const Child child = ExecuteStopped(program, {"program", "600"});
  ASSERT_GT(child.pid(), 0);
  EXPECT_EQ(FactsOf(child.pid()).exe, program);
  EXPECT_FALSE(FactsOf(child.pid()).exe_deleted);
}

TEST(ReadProcessFacts, KnowsTheProcessByBothItsPids) {
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

TEST(IsCapable, LeavesOutWhatEveryLoginHas) {
  EXPECT_EQ(IsCapable("0000000000000000"), false);
  EXPECT_EQ(IsCapable("0000000800000000"), false) << "CAP_WAKE_ALARM";
  EXPECT_EQ(IsCapable("0000000000002000"), true) << "CAP_NET_RAW";
  EXPECT_EQ(IsCapable("0000000800002000"), true);
  EXPECT_EQ(IsCapable("000001ffffffffff"), true);
  EXPECT_EQ(IsCapable(""), std::nullopt);
  EXPECT_EQ(IsCapable("none"), std::nullopt);
}

TEST(ReadProcessFacts, DoesNotTakeTheCapabilitiesOfAnotherUserNamespaceForRights) {
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

TEST(ReadProcessFacts, TellsRealAndEffectiveIdsApart) {
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

TEST(ReadProcessFacts, TellsTheSoftCoreLimit) {
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

TEST(ReadProcessFacts, TellsTheCgroup) {
  const Child child = Sleep();
  const auto text = ReadFile("/proc/self/cgroup", 4096)->text;
  EXPECT_TRUE(text.empty() || FactsOf(child.pid()).cgroup.starts_with('/')) << text;
}

TEST(ReadProcessFacts, SaysNothingOfAProcessThatIsNotThere) {
  const ProcessFacts facts = FactsOf(INT32_MAX);
  EXPECT_EQ(facts.pid, INT32_MAX);
  EXPECT_TRUE(facts.exe.empty());
  EXPECT_FALSE(facts.uid);
  EXPECT_FALSE(facts.started);
}

TEST(ReadProcessFacts, KeepsToItselfWhatAZombieHasLost) {
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

TEST(OpenExecutable, FindsTheFileWhateverBecameOfItsName) {
  const testing::TemporaryFolder folder;
  const std::string program = folder / "program";
  std::filesystem::copy_file("/bin/sleep", program);
  struct stat before{}, found{};
  ASSERT_EQ(::stat(program.c_str(), &before), 0);
  const Child child = ExecuteStopped(program, {"program", "600"});
  ASSERT_EQ(::unlink(program.c_str()), 0);
  const auto proc = Open("/proc", O_RDONLY | O_DIRECTORY);
  const auto executable = OpenExecutable(*proc, child.pid());
  ASSERT_THAT(executable, Succeeds());
  ASSERT_EQ(::fstat(executable->get(), &found), 0);
  EXPECT_EQ(found.st_ino, before.st_ino);
  EXPECT_NE(::fcntl(executable->get(), F_GETFL) & O_PATH, 0);
}

TEST(OpenExecutable, FailsForNoProcess) {
  const auto proc = Open("/proc", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(OpenExecutable(*proc, INT32_MAX), FailsWith(ENOENT));
}

}  // namespace
}  // namespace obit
