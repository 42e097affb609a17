#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "base/fd.h"
#include "kernel/coredump_socket.h"

namespace obit {

// Manager and worker talk over a SOCK_SEQPACKET pair: one WorkerJob at a time to the worker, WorkerReports
// back.

/// What a worker is to do. With it go descriptors: incoming/ID; for a capture also the connection, then those
/// that the flags tell: the program; mem, pagemap, maps and smaps of the process.
struct WorkerJob {
  enum class Kind : std::uint32_t { kCapture, kRecover };
  Kind kind = Kind::kCapture;
  std::uint32_t has_offer = 0;  ///< a "@@" connection: answer `offer` first
  std::uint32_t has_exe = 0, has_memory = 0;
  std::uint32_t exe_reachable = 0;  ///< CaptureJob::exe_reachable
  std::uint32_t verify = 0;         ///< CaptureJob::verify
  CoredumpRequest offer{};
  std::int64_t accepted = 0;            ///< CLOCK_MONOTONIC, ns
  std::uint64_t core_max = UINT64_MAX;  ///< CaptureJob::core_max
  std::int64_t progress_ns = 0;         ///< the deadlines
  std::int64_t capture_ns = 0;
  char reason[128] = {};  ///< of a recovery: why the capture ended; else CaptureJob::stream_reason
};
static_assert(std::is_trivially_copyable_v<WorkerJob>);

struct WorkerReport {
  enum class Kind : std::uint32_t {
    kReleased,  ///< the crashed process may exit; the job goes on
    kStored,    ///< done: incoming/ID can be committed
    kFailed,    ///< done: there is nothing to commit; `error` says why
  };
  Kind kind = Kind::kReleased;
  std::int32_t code = 0;  ///< errno of kFailed
  char error[248] = {};
};
static_assert(std::is_trivially_copyable_v<WorkerReport>);

/// A capture worker: takes jobs from `manager` until that ends. Runs in a forked child and does not return.
/// Its only descriptors are `manager` and those of the job; it dies with the manager. It is confined
/// (ConfineWorker) to crashes below `incoming`.
[[noreturn]] void RunWorker(Fd manager, Fd incoming, std::atomic<std::uint64_t>& progress, pid_t manager_pid);

}  // namespace obit
