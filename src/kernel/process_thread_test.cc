#include "kernel/process_thread.h"

#include <thread>

#include "base/test_support.h"
#include "kernel/executable.h"
#include "kernel/mapped_files.h"
#include "kernel/process.h"
#include "kernel/process_memory.h"

namespace obit {
namespace {

using testing::Child;
using testing::FailsWith;
using testing::Succeeds;

Fd Proc() { return *Open("/proc", O_RDONLY | O_DIRECTORY); }

/// A process whose first thread has exited, and the thread that is left.
struct Orphan {
  Child process;
  pid_t tid = 0;
};
Orphan MakeOrphan() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]), writer(ends[1]);
  Orphan orphan{Child(::fork())};
  if (orphan.process.pid() == 0) {
    std::thread([&] {
      const auto tid = static_cast<pid_t>(::syscall(SYS_gettid));
      while (ReadFile("/proc/self/stat", 4096)->text.find(") Z ") == std::string::npos) ::sched_yield();
      (void)!::write(writer.get(), &tid, sizeof tid);
      for (;;) ::pause();
    }).detach();
    ::syscall(SYS_exit, 0);  // of this thread alone
  }
  EXPECT_EQ(::read(reader.get(), &orphan.tid, sizeof orphan.tid), static_cast<ssize_t>(sizeof orphan.tid));
  return orphan;
}

TEST(OpenThread, ShowsWhatAFirstThreadThatHasExitedDoesNot) {
  const Orphan orphan = MakeOrphan();
  const pid_t pid = orphan.process.pid();
  const auto first = OpenThread(Proc(), pid, pid), dir = OpenThread(Proc(), pid, orphan.tid);
  ASSERT_THAT(first, Succeeds());
  ASSERT_THAT(dir, Succeeds());
  EXPECT_THAT(OpenExecutable(*first), FailsWith(ENOENT));
  EXPECT_THAT(OpenExecutable(*dir), Succeeds());
  const auto memory = OpenProcessMemory(*dir);
  ASSERT_THAT(memory, Succeeds());
  EXPECT_TRUE(HasMemory(memory->mem, reinterpret_cast<std::uintptr_t>(&pid)));
  const auto files = OpenMappedFiles(*dir);
  ASSERT_THAT(files, Succeeds());
  EXPECT_FALSE(files->empty());
}

/// All of them, of a process by one of its threads.
ProcessFacts FactsBy(pid_t pid, pid_t tid) {
  const Fd dir = *OpenThread(Proc(), pid, tid);
  ProcessFacts facts = ReadSafeFacts(Proc(), dir, pid);
  ReadRiskyFacts(Proc(), dir, facts);
  return facts;
}

TEST(OpenThread, GivesAllFactsOfTheProcess) {
  const Orphan orphan = MakeOrphan();
  const ProcessFacts facts = FactsBy(orphan.process.pid(), orphan.tid);
  const ProcessFacts own = FactsBy(::getpid(), ::getpid());
  EXPECT_EQ(facts.pid, orphan.process.pid());
  EXPECT_EQ(facts.own_pid, orphan.process.pid());
  EXPECT_EQ(facts.parent, ::getpid());
  EXPECT_EQ(facts.comm, own.comm);
  EXPECT_EQ(facts.exe, own.exe);
  EXPECT_EQ(facts.cmdline, own.cmdline);
  EXPECT_EQ(facts.cwd, own.cwd);
  EXPECT_EQ(facts.root, own.root);
  EXPECT_EQ(facts.cgroup, own.cgroup);
  EXPECT_EQ(facts.mount_namespace, own.mount_namespace);
  EXPECT_EQ(facts.user_namespace, own.user_namespace);
  EXPECT_EQ(facts.secure, false);
  EXPECT_EQ(facts.one_identity, true);
  EXPECT_EQ(facts.capable, own.capable);
  EXPECT_EQ(facts.threads, 2u);
  EXPECT_GT(facts.resident_bytes, 4096u);
  EXPECT_LE(own.started_since_boot, facts.started_since_boot);
}

TEST(ProcessFacts, TellsThreadsOfTwoIdentitiesApart) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: it cannot change who a thread is";
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]), writer(ends[1]);
  const Child child(::fork());
  if (child.pid() == 0) {
    std::thread([&] {
      pid_t tid = static_cast<pid_t>(::syscall(SYS_gettid));
      if (::syscall(SYS_setresuid, 21, 21, 21) != 0) tid = 0;  // the C library would change all threads
      (void)!::write(writer.get(), &tid, sizeof tid);
      for (;;) ::pause();
    }).detach();
    for (;;) ::pause();
  }
  pid_t tid = 0;
  ASSERT_EQ(::read(reader.get(), &tid, sizeof tid), static_cast<ssize_t>(sizeof tid));
  ASSERT_GT(tid, 0);
  const ProcessFacts facts = FactsBy(child.pid(), tid);
  EXPECT_EQ(facts.uid, 21u);
  EXPECT_EQ(facts.one_identity, false);
  EXPECT_EQ(facts.capable, true) << "the first one is root's";
}

TEST(OpenThread, TakesNoThreadOfAnotherProcess) {
  const Orphan orphan = MakeOrphan();
  EXPECT_THAT(OpenThread(Proc(), ::getpid(), orphan.tid), FailsWith(ESRCH));
  EXPECT_THAT(OpenThread(Proc(), ::getpid(), INT32_MAX), FailsWith(ENOENT));
  EXPECT_THAT(OpenThread(Proc(), 0, 0), FailsWith(ENOENT));
}

TEST(FindDumpingThread, IsTheFirstOneWhereNoneDumps) {
  EXPECT_EQ(FindDumpingThread(Proc(), ::getpid()), ::getpid());
  EXPECT_EQ(FindDumpingThread(Proc(), INT32_MAX), INT32_MAX);
}

}  // namespace
}  // namespace obit
