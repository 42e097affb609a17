#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/file_stamp.h"
#include "base/result.h"
#include "kernel/crash_glance.h"
#include "kernel/pidfd.h"
#include "kernel/process.h"
#include "kernel/process_stat.h"

namespace obit {

/// A place in a mapped file.
struct FilePlace {
  std::uint64_t inode = 0;   ///< 0: memory without a file, or no memory at all
  std::uint64_t offset = 0;  ///< bytes into the file; of the program's own code, from its begin
  auto operator<=>(const FilePlace&) const = default;
};

/// Where a process crashed, and whose it is: what can be had fast enough for a crash loop
/// (docs/benchmarks.md).
struct CrashPlace {
  /// Has pid, comm, cgroup, uid, whether it is privileged (but for AT_SECURE), core limit, signal and the
  /// crashing thread; others may be missing.
  ProcessFacts facts;
  FileStamp program;
  std::string exe;  ///< its path, in whatever mount namespace, without the kernel's " (deleted)"
  FilePlace pc;     ///< of the thread that crashed
  /// Tells those apart whose pc is the same, as where abort(3) sends its signal: which places of the program
  /// have called (CallersOf). 0: it is not looked for, or not found.
  std::uint64_t callers = 0;
  std::uint64_t resident = 0;  ///< bytes of memory that the process has
  std::optional<CrashGlance> glance;
};

/// Reads such places by /proc. Asks no other file system.
///
/// Most processes crash in their first thread, with one identity and without capabilities. What tells those
/// apart is had by few system calls: ids and cgroup are known by the pidfd, capabilities by capget(2), the
/// path of a cgroup is looked up once, what lies in the program's own code is told by its address, and when a
/// program was written is asked for ten times a second (kRecent).
class CrashPlaces {
 public:
  /// `proc`, a descriptor of /proc, outlives this object.
  explicit CrashPlaces(const Fd& proc) : proc_(proc) {}
  /// Reads that of the process `known`, by its pid: the caller holds a pidfd and checks it after the call.
  /// ENOENT: it does not dump core; EACCES, EPERM: no right to look.
  [[nodiscard]] Result<CrashPlace> Read(const PidfdInfo& known);

 private:
  [[nodiscard]] std::optional<ProcessFacts> QuickFacts(const PidfdInfo& known, const ProcessStat& stat);
  [[nodiscard]] Result<FileStamp> ProgramOf(const std::string& exe);
  [[nodiscard]] std::optional<std::string> CgroupOf(const PidfdInfo& known);

  const Fd& proc_;
  std::map<std::uint64_t, std::string> cgroups_;  // by id, which no other gets
  struct Recent {
    FileStamp program;
    std::int64_t read_at = 0;  // CLOCK_MONOTONIC, ns; 0: none
  } recent_;
};

/// What is mapped at `address`. `maps` is an open /proc/PID/maps; asked by PROCMAP_QUERY (Linux 6.11), before
/// that read as text.
[[nodiscard]] Result<FilePlace> FilePlaceOf(const Fd& maps, std::uint64_t address);
/// The same from the text alone.
[[nodiscard]] Result<FilePlace> FilePlaceByText(const Fd& maps, std::uint64_t address);

}  // namespace obit
