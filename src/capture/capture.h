#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "capture/handshake.h"
#include "capture/stream.h"
#include "crash/record.h"
#include "kernel/process_memory.h"
#include "store/core_writer.h"

namespace obit {

/// One connection to one stored core. The descriptors are the capture's own.
struct CaptureJob {
  Fd dir;                      ///< incoming/ID; holds begun.json
  Fd connection;               ///< to the kernel: a coredump socket, or the pipe
  Fd exe;                      ///< the program, for reading; may be empty
  bool exe_reachable = false;  ///< its path leads to it on this host: no copy is needed
  /// The crashed process' memory, for direct capture; none: by stream, and `stream_reason` says why if that
  /// was not wanted.
  std::optional<ProcessMemory> memory;
  std::string stream_reason;
  bool verify = false;  ///< after a direct capture, compare with the stream
  /// The kernel's offer on a "@@" connection, already read; none for "@" and the pipe.
  std::optional<CoredumpRequest> offer;
  std::int64_t accepted = 0;  ///< when the connection came, CLOCK_MONOTONIC, ns
  /// So much of the core is kept, bytes, from its beginning on, holes included: RLIMIT_CORE.
  std::uint64_t core_max = UINT64_MAX;
  CaptureDeadlines deadlines;
  CoreWriter::Options writer;
};

/// Captures: handshake, core.zst, release of the process, exe.zst where the program has no name on this host,
/// crash.json. On success incoming/ID is complete and synced, ready for Store::Commit, whatever came of the
/// core: the record says. `released` is called once, as soon as the process may exit. Fails only if not even
/// a record can be written.
[[nodiscard]] Result<CrashRecord> Capture(CaptureJob job, std::atomic<std::uint64_t>& progress,
                                          const std::function<void()>& released);

/// Completes incoming/ID that a killed capture left behind: the core as far as its frames are whole. Outcome
/// full if that is all that its head promises, else truncated, or failed without any; then `reason` says why.
/// One whose crash.json was already written stays as it is. ENOENT: there is no record in it at all.
[[nodiscard]] Result<CrashRecord> Recover(const Fd& dir, const std::string& reason);

/// Writes the record as crash.json and syncs it and `dir`: the last step before Store::Commit.
[[nodiscard]] Result<void> WriteRecord(const Fd& dir, const CrashRecord& record);

/// Lets the process go: ends both directions of a socket, then closes. A copy that another process holds does
/// not matter.
void ReleaseConnection(Fd& connection);

}  // namespace obit
