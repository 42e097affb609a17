#include "server/process_inspector.h"

#include <span>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "kernel/executable.h"
#include "kernel/local_mounts.h"
#include "kernel/memory_load.h"
#include "kernel/process_stat.h"
#include "kernel/process_thread.h"

namespace obit {
namespace {

/// What was found, if the process has been there all the while.
template <class T>
Result<T> Of(const Subject& subject, T found) {
  if (!StillNamed(subject.pidfd)) return Refuse(ESRCH, "the process was gone before it could be looked at");
  return found;
}

}  // namespace

Result<KernelInspector> KernelInspector::Create() {
  Fd proc = OBIT_TRY(obit::Open("/proc", O_RDONLY | O_DIRECTORY));
  auto suid_dumpable = OpenAt(proc, "sys/fs/suid_dumpable", O_RDONLY);
  auto cgroups = obit::Open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
  return KernelInspector(std::move(proc), suid_dumpable ? std::move(*suid_dumpable) : Fd(),
                         cgroups ? std::move(*cgroups) : Fd());
}

MemoryLoad KernelInspector::MemoryNow() {
  constexpr std::int64_t kLasts = 1'000'000'000;  // ns
  const std::int64_t now = MonotonicNow();
  if (now - memory_read_ >= kLasts) {
    memory_read_ = now;
    memory_ = ReadMemoryLoad(*proc_);
  }
  return memory_;
}

/// False if fs.suid_dumpable is 1: then the kernel dumps a process that was privileged as if it were none.
bool KernelInspector::TellsPrivileged() const {
  char value = '1';  // where it cannot be read
  return ReadFullAt(suid_dumpable_, std::as_writable_bytes(std::span(&value, 1)), 0) && value != '1';
}

Subject KernelInspector::SubjectOf(const Fd& pidfd, PidfdInfo known) {
  if (!TellsPrivileged()) known.dump_mode = DumpMode::kRoot;
  return {pidfd, known, FindDumpingThread(*proc_, known.pid)};
}

/// /proc/TID of the thread that dumps core.
Result<Fd> KernelInspector::Open(const Subject& subject) const {
  return OpenThread(*proc_, subject.info.pid, subject.tid);
}

Result<Activity> KernelInspector::ActivityOf(const Subject& subject) {
  auto dir = Open(subject);
  // That thread may have exited before the others.
  if (!dir) dir = OpenThread(*proc_, subject.info.pid, subject.info.pid);
  if (!dir) return std::unexpected(dir.error());
  ProcessStat stat = OBIT_TRY(ReadProcessStat(*dir, "stat"));
  const bool dies = stat.dies();
  auto activity = Of(subject, Activity{stat.cpu_ticks, stat.state == 'R', std::move(stat.comm)});
  if (activity && !dies) return Refuse(ENOENT, "process {} is not dying of a signal", subject.info.pid);
  return activity;
}

Result<ProcessFacts> KernelInspector::SafeFacts(const Subject& subject) {
  ProcessFacts facts{.pid = subject.info.pid};
  if (const auto dir = Open(subject)) facts = ReadSafeFacts(*proc_, *dir, subject.info.pid);
  return Of(subject, std::move(facts));
}

Result<ProcessFacts> KernelInspector::RiskyFacts(const Subject& subject, ProcessFacts safe) {
  if (const auto dir = Open(subject)) ReadRiskyFacts(*proc_, *dir, safe);
  return Of(subject, std::move(safe));
}

Result<CrashPlace> KernelInspector::PlaceOf(const PidfdInfo& known) { return places_.Read(known); }

std::optional<CrashGlance> KernelInspector::GlanceAt(const PidfdInfo& known) {
  return obit::GlanceAt(*proc_, known);
}

Result<ProcessMemory> KernelInspector::Memory(const Subject& subject) {
  const Fd dir = OBIT_TRY(Open(subject));
  return Of(subject, OBIT_TRY(OpenProcessMemory(dir)));
}

Result<ThreadNames> KernelInspector::Threads(const Subject& subject, std::string_view usual) {
  const Fd dir = OBIT_TRY(Open(subject));
  return Of(subject, OBIT_TRY(ReadThreadNames(dir, usual)));
}

Result<MemoryOutlook> KernelInspector::Outlook(const Subject& subject, pid_t parent) {
  const Fd dir = OBIT_TRY(Open(subject));
  return Of(subject, ReadMemoryOutlook({.proc = *proc_, .cgroups = cgroups_, .process = dir},
                                       subject.info.pid, parent));
}

Result<Executable> KernelInspector::Program(const Subject& subject) {
  const Fd dir = OBIT_TRY(Open(subject));
  const Fd opened = OBIT_TRY(OpenExecutable(dir));
  const LocalMounts mounts = OBIT_TRY(LocalMounts::Read(dir));
  Executable program{.reachable = IsReachable(*proc_, dir, ReadExecutableName(*proc_, dir), opened)};
  if (auto file = mounts.OpenForReading(opened))
    program.file = std::move(*file);
  else if (!program.reachable)
    program.missing = std::move(file).error().what;
  return Of(subject, std::move(program));
}

Result<std::vector<MappedFile>> KernelInspector::MappedFiles(const Subject& subject) {
  const Fd dir = OBIT_TRY(Open(subject));
  return Of(subject, OBIT_TRY(OpenMappedFiles(dir)));
}

}  // namespace obit
