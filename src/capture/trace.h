#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/coredump_socket.h"
#include "kernel/process_memory.h"
#include "store/core_writer.h"

namespace obit {

/// A process that crashed, and is to have no core. The descriptors are the capture's own.
struct TraceJob {
  Fd connection;  ///< to the kernel, non-blocking, as CaptureJob has it
  std::optional<ProcessMemory> memory;
  std::string no_memory;                     ///< why there is none
  std::optional<CoredumpRequest> offer;      ///< as CaptureJob::offer
  std::uint64_t core_max = 4 << 20;          ///< bytes
  std::chrono::nanoseconds time = kTimeMax;  ///< the process is not held longer for it
  CoreWriter::Options writer;

  static constexpr std::chrono::milliseconds kTimeMax{500};
  /// There is no trace of a process with more private memory, bytes, in use or not. The kernel walks through
  /// all of it before it notices that nobody reads: without a core it would not.
  static constexpr std::uint64_t kMemoryMax = std::uint64_t{16} << 30;
};

/// Captures a minimal core into memory that has no name: it is gone with the last descriptor, whoever dies.
/// `released` is called once, as soon as the process may exit. Where there is to be no trace, the kernel is
/// told the same as of an event, and an error says why.
[[nodiscard]] Result<Fd> CaptureTrace(TraceJob job, std::atomic<std::uint64_t>& progress,
                                      const std::function<void()>& released);

}  // namespace obit
