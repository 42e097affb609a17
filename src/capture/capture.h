#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "capture/early_release.h"
#include "capture/stream.h"
#include "crash/record.h"
#include "kernel/coredump_socket.h"
#include "kernel/memory_outlook.h"
#include "kernel/process_memory.h"
#include "store/core_writer.h"

namespace obit {

/// One connection to one stored core. The descriptors are the capture's own.
struct CaptureJob {
  CrashRecord record;  ///< what is known so far
  // What Capture() needs until the release is open before: opening a file may wait.
  Fd dir;                      ///< the crash folder
  Fd core;                     ///< core.zst in it: empty, for reading and writing
  Fd minimal;                  ///< minimal.zst in it, likewise; none: a core that ends early is truncated
  Fd begun;                    ///< begun.json in it: empty, for writing
  Fd connection;               ///< to the kernel, non-blocking: a coredump socket, or what a pump fills
  Fd exe;                      ///< the program, for reading; may be empty
  bool exe_reachable = false;  ///< its path leads to it on this host: no copy is needed
  /// The crashed process' memory, for direct capture; none: by stream, and `stream_reason` says why if that
  /// was not wanted.
  std::optional<ProcessMemory> memory;
  std::string stream_reason;
  std::optional<MemoryOutlook> outlook;  ///< of that memory; none: it is not kept beyond the process
  KeepTerms keep;
  bool verify = false;  ///< after a direct capture, compare with the stream
  /// The kernel's offer on a "@@" connection, already read; none for "@" and the pipe.
  std::optional<CoredumpRequest> offer;
  std::int64_t accepted = 0;  ///< when the connection came, CLOCK_MONOTONIC, ns
  /// So much of the core is kept, bytes, from its beginning on, holes included: RLIMIT_CORE.
  std::uint64_t core_max = UINT64_MAX;
  CaptureDeadlines deadlines;
  CoreWriter::Options writer;
};

/// How far a capture has come.
enum class CaptureStep {
  kReleased,  ///< the process may exit: nothing more of it is needed
  kKept,      ///< the process may exit, and its memory is kept and copied
  kCopied,    ///< after kKept: it is kept no more
};

/// Captures: begun.json, handshake, core.zst, release of the process, exe.zst where the program has no name
/// on this host, crash.json. On success the folder is complete, ready for Store::Commit, and synced as far as
/// the disk does that, whatever came of the core: the record says. A frame that was written stays, with two
/// exceptions: a full disk may take no table unless frames make room for it (CoreWriter::Finish), and what
/// came may be no core. A full core of some size that ends early is replaced by a minimal one, made before
/// (minimal_beside.h); ENOMEM: there is no memory to look at that, and both are left for Recover. `reached`
/// is told of kReleased, or of kKept and then kCopied, once each; until the process may exit nothing is
/// opened, made, renamed or removed, only what is open is written. `progress` grows by what is read and by
/// what is written. Else it fails only if not even a record can be written; what there is of the core then
/// stays, for Recover.
[[nodiscard]] Result<CrashRecord> Capture(CaptureJob job, std::atomic<std::uint64_t>& progress,
                                          const std::function<void(CaptureStep)>& reached);

/// What is left in incoming/ID, and what is known of it.
struct RecoveryJob {
  std::string id;       ///< of the crash
  std::string reason;   ///< why it was left: that of a core that is not whole
  std::string boot_id;  ///< the present boot: what was captured in another one, or where that is not known,
                        ///< is unpacked, to see what is whole
  std::atomic<std::uint64_t>* progress = nullptr;  ///< if any, grows by what is read: that may take long
};

/// Completes incoming/ID that a killed capture left behind: the core as far as its frames are whole. Outcome
/// full, or minimal if that was wanted, if that is all that its head promises; else minimal, if such a core
/// had been made before, or truncated, or failed without any: then the reason says why. One whose crash.json
/// was already written stays as it is. Where begun.json says nothing, as after a power cut, the core tells
/// what it can, and nobody is its owner. ENOENT: there is neither record nor core. Other errors are of the
/// disk, or of what obitd may have. What is stored is there then as before, but for what is no whole frame,
/// or the minimal core is in its place; so it can be tried again, and whoever gives up keeps what is there.
[[nodiscard]] Result<CrashRecord> Recover(const Fd& dir, const RecoveryJob& job);

/// Writes the record as crash.json and syncs it and `dir`: the last step before Store::Commit. Where the disk
/// does not sync it, it is written all the same, and says so.
[[nodiscard]] Result<void> WriteRecord(const Fd& dir, const CrashRecord& record);

/// Lets the process go: ends both directions of a socket, then closes. A copy that another process holds does
/// not matter.
void ReleaseConnection(Fd& connection);

}  // namespace obit
