#pragma once

#include <cstdint>

#include <sys/types.h>

#include "base/fd.h"
#include "base/file_stamp.h"
#include "base/result.h"
#include "kernel/process.h"

namespace obit {

/// A place in a mapped file.
struct FilePlace {
  std::uint64_t inode = 0;   ///< 0: memory without a file, or no memory at all
  std::uint64_t offset = 0;  ///< bytes into the file
  auto operator<=>(const FilePlace&) const = default;
};

/// Where a process crashed: what can be had fast enough for a crash loop (docs/benchmarks.md).
struct CrashPlace {
  ProcessFacts facts;        ///< the brief ones
  std::int64_t started = 0;  ///< CLOCK_BOOTTIME, ns; by a clock that ticks each 10 ms
  FileStamp program;
  FilePlace pc;  ///< of the thread that crashed
};

/// Reads it of the process `pid` below `dir`, /proc/TID of the thread that dumps core; `proc` is a descriptor
/// of /proc. Asks no other file system. The caller checks the process' pidfd after the call. ENOENT: it does
/// not dump core; EACCES, EPERM: no right to look.
[[nodiscard]] Result<CrashPlace> ReadCrashPlace(const Fd& proc, const Fd& dir, pid_t pid);

/// What is mapped at `address`. `maps` is an open /proc/PID/maps; asked by PROCMAP_QUERY (Linux 6.11), before
/// that read as text.
[[nodiscard]] Result<FilePlace> FilePlaceOf(const Fd& maps, std::uint64_t address);
/// The same from the text alone.
[[nodiscard]] Result<FilePlace> FilePlaceByText(const Fd& maps, std::uint64_t address);

}  // namespace obit
