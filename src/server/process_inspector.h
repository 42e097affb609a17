#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/memory_load.h"
#include "base/result.h"
#include "kernel/bag.h"
#include "kernel/crash_glance.h"
#include "kernel/crash_place.h"
#include "kernel/mapped_files.h"
#include "kernel/memory_outlook.h"
#include "kernel/pidfd.h"
#include "kernel/process.h"
#include "kernel/process_memory.h"
#include "kernel/thread_names.h"

namespace obit {

/// A crashed process that is looked at.
struct Subject {
  const Fd& pidfd;
  PidfdInfo info;
  /// The thread that dumps core, by which /proc is asked: the first one may have exited (FindDumpingThread).
  pid_t tid = 0;
};

/// How a process gets on.
struct Activity {
  std::uint64_t cpu_ticks = 0;  ///< used by all its threads so far, in units of sysconf(_SC_CLK_TCK)
  bool runs = false;            ///< the thread that dumps core does, or would if there was a processor for it
  std::string comm;             ///< of that thread
};

/// What an inspector asks the kernel about a crashed process, behind an interface: a test crashes none. Each
/// question fails with ESRCH if the process was gone before the answer was there, which may then be of
/// another one.
class ProcessInspector {
 public:
  virtual ~ProcessInspector() = default;
  /// How short memory is, as of a second ago at most. Waits for nothing.
  [[nodiscard]] virtual MemoryLoad MemoryNow() = 0;
  /// Completes what the manager knows of a process.
  [[nodiscard]] virtual Subject SubjectOf(const Fd& pidfd, PidfdInfo known) = 0;
  /// What ActivityOf and SafeFacts ask waits for nothing; all others may wait for ever (process.h).
  /// Only a process that is dying of a signal has any; ENOENT: it is not, and so not the one that crashed.
  [[nodiscard]] virtual Result<Activity> ActivityOf(const Subject& subject) = 0;
  [[nodiscard]] virtual Result<ProcessFacts> SafeFacts(const Subject& subject) = 0;
  /// `safe` and the others.
  [[nodiscard]] virtual Result<ProcessFacts> RiskyFacts(const Subject& subject, ProcessFacts safe) = 0;
  /// Where the process `known` crashed, faster than the facts: by its pid alone, so the caller checks the
  /// pidfd. Fails also where that cannot be told.
  [[nodiscard]] virtual Result<CrashPlace> PlaceOf(const PidfdInfo& known) = 0;
  /// What one glance shows of it (crash_glance.h). The caller checks the pidfd.
  [[nodiscard]] virtual std::optional<CrashGlance> GlanceAt(const PidfdInfo& known) = 0;
  /// For direct capture. EACCES, EPERM: obitd has no right to it. Opening waits for nothing, reading may.
  [[nodiscard]] virtual Result<ProcessMemory> Memory(const Subject& subject) = 0;
  /// Names of those threads that are not called as the process is, `usual`. Waits for nothing.
  [[nodiscard]] virtual Result<ThreadNames> Threads(const Subject& subject, std::string_view usual) = 0;
  /// Whether its memory may be kept beyond its end. `parent` is its parent's pid. Waits for nothing.
  [[nodiscard]] virtual Result<MemoryOutlook> Outlook(const Subject& subject, pid_t parent) = 0;
  [[nodiscard]] virtual Result<Executable> Program(const Subject& subject) = 0;
  /// For the analysis. Fails as Memory.
  [[nodiscard]] virtual Result<std::vector<MappedFile>> MappedFiles(const Subject& subject) = 0;
};

/// The running kernel.
class KernelInspector final : public ProcessInspector {
 public:
  [[nodiscard]] static Result<KernelInspector> Create();
  [[nodiscard]] MemoryLoad MemoryNow() override;
  [[nodiscard]] Subject SubjectOf(const Fd& pidfd, PidfdInfo known) override;
  [[nodiscard]] Result<Activity> ActivityOf(const Subject& subject) override;
  [[nodiscard]] Result<ProcessFacts> SafeFacts(const Subject& subject) override;
  [[nodiscard]] Result<ProcessFacts> RiskyFacts(const Subject& subject, ProcessFacts safe) override;
  [[nodiscard]] Result<CrashPlace> PlaceOf(const PidfdInfo& known) override;
  [[nodiscard]] std::optional<CrashGlance> GlanceAt(const PidfdInfo& known) override;
  [[nodiscard]] Result<ProcessMemory> Memory(const Subject& subject) override;
  [[nodiscard]] Result<ThreadNames> Threads(const Subject& subject, std::string_view usual) override;
  [[nodiscard]] Result<MemoryOutlook> Outlook(const Subject& subject, pid_t parent) override;
  [[nodiscard]] Result<Executable> Program(const Subject& subject) override;
  [[nodiscard]] Result<std::vector<MappedFile>> MappedFiles(const Subject& subject) override;

 private:
  KernelInspector(Fd proc, Fd suid_dumpable, Fd cgroups)
      : proc_(std::make_unique<Fd>(std::move(proc))),
        suid_dumpable_(std::move(suid_dumpable)),
        cgroups_(std::move(cgroups)),
        places_(*proc_) {}
  [[nodiscard]] bool TellsPrivileged() const;
  [[nodiscard]] Result<Fd> Open(const Subject& subject) const;
  std::unique_ptr<const Fd> proc_;  // /proc
  Fd suid_dumpable_;                // below it
  Fd cgroups_;                      // /sys/fs/cgroup; none: empty
  CrashPlaces places_;
  MemoryLoad memory_;
  std::int64_t memory_read_ = INT64_MIN / 2;  // when, CLOCK_MONOTONIC
};

}  // namespace obit
