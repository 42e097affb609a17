#include "capture/facts.h"

#include <csignal>

#include <elf.h>

#include "base/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ProcessFacts AllFacts() {
  ProcessFacts facts;
  facts.pid = 100;
  facts.parent = 99;
  facts.comm = "comm";
  facts.exe = "/exe";
  facts.exe_deleted = true;
  facts.too_long = {"cwd"};
  facts.cmdline = {"a", "", "b"};
  facts.cmdline_truncated = true;
  facts.cwd = "/cwd";
  facts.root = "/root";
  facts.cgroup = "/cgroup";
  facts.uid = 1, facts.euid = 2, facts.gid = 3, facts.egid = 4;
  facts.threads = 5;
  facts.core_limit = 6;
  facts.virtual_bytes = 8, facts.resident_bytes = 7;
  facts.started = -9;
  facts.own_pid = 10;
  facts.pid_namespace = "pid:[1]", facts.mount_namespace = "mnt:[2]";
  facts.network_namespace = "net:[3]", facts.user_namespace = "user:[4]";
  facts.signal = SIGSEGV;
  facts.crashing = ProcessFacts::Thread{101, "worker", 0x5e, 0x9c};
  return facts;
}

CoreNotes AllNotes() {
  CoreNotes notes;
  notes.threads = {{.tid = 7, .signal = SIGBUS, .pc = 0x1111, .sp = 0x2222}, {.tid = 8, .signal = 0}};
  notes.process = CoreNotes::Process{
      .pid = 6, .parent = 1, .uid = 21, .gid = 22, .comm = "cut", .arguments = "cut -a  b "};
  notes.signal = CoreNotes::Signal{.number = SIGBUS, .code = 2, .address = 0x18};
  notes.auxv[AT_PHDR] = 0x1040;
  notes.files = {{.begin = 0x1000, .end = 0x2000, .offset = 0, .path = "/from/notes"}};
  return notes;
}

CrashRecord FromNotes(const CoreNotes& notes, CrashRecord record = {}) {
  ApplyCoreNotes(notes, record);
  return record;
}

CrashRecord FromFacts(const ProcessFacts& facts) {
  CrashRecord record;
  ApplyProcessFacts(facts, record);
  return record;
}

TEST(ApplyProcessFacts, CopiesEachFact) {
  const CrashRecord record = FromFacts(AllFacts());
  const CrashRecord::Process& process = record.process;
  EXPECT_EQ(process.pid, 100);
  EXPECT_EQ(process.own_pid, 10);
  EXPECT_EQ(process.parent, 99);
  EXPECT_EQ(process.comm, "comm");
  EXPECT_EQ(process.exe, "/exe");
  EXPECT_TRUE(process.exe_deleted);
  EXPECT_THAT(process.too_long, ElementsAre("cwd"));
  EXPECT_THAT(process.cmdline, ElementsAre("a", "", "b"));
  EXPECT_TRUE(process.cmdline_truncated);
  EXPECT_EQ(process.cwd, "/cwd");
  EXPECT_EQ(process.root, "/root");
  EXPECT_EQ(process.cgroup, "/cgroup");
  EXPECT_EQ(process.uid, 1u);
  EXPECT_EQ(process.euid, 2u);
  EXPECT_EQ(process.gid, 3u);
  EXPECT_EQ(process.egid, 4u);
  EXPECT_EQ(process.threads, 5u);
  EXPECT_EQ(process.core_limit, 6u);
  EXPECT_EQ(process.resident_bytes, 7u);
  EXPECT_EQ(process.virtual_bytes, 8u);
  EXPECT_EQ(process.started, -9);
  EXPECT_EQ(process.pid_namespace, "pid:[1]");
  EXPECT_EQ(process.mount_namespace, "mnt:[2]");
  EXPECT_EQ(process.network_namespace, "net:[3]");
  EXPECT_EQ(process.user_namespace, "user:[4]");
  EXPECT_EQ(record.signal.number, SIGSEGV);
  EXPECT_EQ(record.thread.tid, 101);
  EXPECT_EQ(record.thread.comm, "worker");
  EXPECT_EQ(record.thread.sp, 0x5eu);
  EXPECT_EQ(record.thread.pc, 0x9cu);
}

TEST(ApplyProcessFacts, LeavesEmptyWhatIsNotKnown) {
  const CrashRecord record = FromFacts({});
  EXPECT_FALSE(record.process.parent);
  EXPECT_FALSE(record.process.uid);
  EXPECT_EQ(record.signal.number, 0);
  EXPECT_EQ(record.thread.tid, 0);
}

TEST(ApplyProcessFacts, TakesNoZeroForARegister) {
  ProcessFacts facts;
  facts.crashing = ProcessFacts::Thread{101, "worker", 0, 0};
  const CrashRecord record = FromFacts(facts);
  EXPECT_EQ(record.thread.tid, 101);
  EXPECT_FALSE(record.thread.pc);
  EXPECT_FALSE(record.thread.sp);
}

TEST(ApplyProcessFacts, KeepsASignalThatIsKnownOtherwise) {
  CrashRecord record;
  record.signal.number = SIGQUIT;
  ApplyProcessFacts({}, record);
  EXPECT_EQ(record.signal.number, SIGQUIT);
}

TEST(ApplyCoreNotes, FillsAnEmptyRecord) {
  const CrashRecord record = FromNotes(AllNotes());
  EXPECT_EQ(record.process.pid, 6);
  EXPECT_EQ(record.process.own_pid, 6);
  EXPECT_EQ(record.process.parent, 1);
  EXPECT_EQ(record.process.comm, "cut");
  EXPECT_EQ(record.process.exe, "/from/notes");
  EXPECT_EQ(record.process.uid, 21u);
  EXPECT_EQ(record.process.gid, 22u);
  EXPECT_FALSE(record.process.euid);
  EXPECT_THAT(record.process.cmdline, ElementsAre("cut", "-a", "", "b"));
  EXPECT_FALSE(record.process.cmdline_truncated);
  EXPECT_EQ(record.thread.tid, 7);
  EXPECT_EQ(record.thread.pc, 0x1111u);
  EXPECT_EQ(record.thread.sp, 0x2222u);
  EXPECT_EQ(record.signal.number, SIGBUS);
  EXPECT_EQ(record.signal.code, 2);
  EXPECT_EQ(record.signal.address, 0x18u);
}

TEST(ApplyCoreNotes, HaveThePathThatIsTooLongForProc) {
  CrashRecord record;
  record.process.too_long = {"cwd", "exe"};
  ApplyCoreNotes(AllNotes(), record);
  EXPECT_EQ(record.process.exe, "/from/notes");
  EXPECT_FALSE(record.process.exe_deleted);
  EXPECT_THAT(record.process.too_long, ElementsAre("cwd"));
}

TEST(ApplyCoreNotes, NameAProgramWithoutTheKernelsSuffix) {
  CoreNotes notes = AllNotes();
  for (CoreNotes::File& file : notes.files) file.path += " (deleted)";
  const CrashRecord record = FromNotes(notes);
  EXPECT_EQ(record.process.exe, "/from/notes");
  EXPECT_TRUE(record.process.exe_deleted);
}

TEST(ApplyCoreNotes, OverridesTheSignalAndTheRegistersOnly) {
  const CrashRecord before = FromFacts(AllFacts());
  const CrashRecord record = FromNotes(AllNotes(), before);
  EXPECT_EQ(record.signal.number, SIGBUS);
  EXPECT_EQ(record.thread.pc, 0x1111u);
  EXPECT_EQ(record.thread.sp, 0x2222u);
  EXPECT_EQ(record.thread.tid, 101);
  EXPECT_EQ(record.process.pid, 100);
  EXPECT_EQ(record.process.own_pid, 10);
  EXPECT_EQ(record.process.parent, 99);
  EXPECT_EQ(record.process.comm, "comm");
  EXPECT_EQ(record.process.exe, "/exe");
  EXPECT_EQ(record.process.uid, 1u);
  EXPECT_EQ(record.process.gid, 3u);
  EXPECT_EQ(record.process.cmdline, before.process.cmdline);
}

TEST(ApplyCoreNotes, ChangesNothingWithoutNotes) {
  const CrashRecord record = FromNotes({}, FromFacts(AllFacts()));
  EXPECT_EQ(record.signal.number, SIGSEGV);
  EXPECT_FALSE(record.signal.code);
  EXPECT_EQ(record.thread.pc, 0x9cu);
  EXPECT_EQ(record.process.exe, "/exe");
}

TEST(ApplyCoreNotes, TakesTheSignalOfTheFirstThreadIfThereIsNoOther) {
  CoreNotes notes = AllNotes();
  notes.signal.reset();
  EXPECT_EQ(FromNotes(notes).signal.number, SIGBUS);
  notes.signal = CoreNotes::Signal{};  // gcore writes one of a process that got no signal
  EXPECT_EQ(FromNotes(notes).signal.number, SIGBUS);
  EXPECT_FALSE(FromNotes(notes).signal.code);
}

TEST(ApplyCoreNotes, SaysWhenTheArgumentsFillTheirNote) {
  CoreNotes notes = AllNotes();
  notes.process->arguments = std::string(78, 'x');
  EXPECT_FALSE(FromNotes(notes).process.cmdline_truncated);
  notes.process->arguments = std::string(79, 'x');
  EXPECT_TRUE(FromNotes(notes).process.cmdline_truncated);
}

TEST(ApplyCoreNotes, MakesNoArgumentOfNone) {
  CoreNotes notes = AllNotes();
  notes.process->arguments = "";
  EXPECT_THAT(FromNotes(notes).process.cmdline, IsEmpty());
}

TEST(ApplyCoreNotes, KnowsAPrivilegedProcessByItsAuxiliaryVector) {
  CoreNotes notes = AllNotes();
  EXPECT_FALSE(FromNotes(notes).process.privileged);
  notes.auxv[AT_SECURE] = 0;
  EXPECT_FALSE(FromNotes(notes).process.privileged);
  notes.auxv[AT_SECURE] = 1;
  EXPECT_EQ(FromNotes(notes).process.privileged, true);
}

TEST(ApplyCoreNotes, TakesNoPathThatNoProgramHas) {
  CoreNotes notes;
  notes.auxv[AT_PHDR] = 0x1040;
  notes.files = {{0x1000, 0x2000, 0, "/" + std::string(5000, 'x')}};
  CrashRecord record;
  ApplyCoreNotes(notes, record);
  EXPECT_EQ(record.process.exe, notes.files[0].path) << "the kernel writes longer ones than PATH_MAX";
  notes.files[0].path.assign(1 << 20, '\xff');
  record = {};
  ApplyCoreNotes(notes, record);
  EXPECT_EQ(record.process.exe, "");
  EXPECT_THAT(record.process.too_long, ElementsAre("exe"));
}

}  // namespace
}  // namespace obit
