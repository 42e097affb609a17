#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "elf/core_head.h"
#include "store/core_writer.h"

namespace obit {

/// How long a capture may take. A crashed process is held for no longer.
struct CaptureDeadlines {
  std::chrono::nanoseconds progress{std::chrono::seconds(30)};  ///< without a byte
  std::chrono::nanoseconds whole{std::chrono::seconds(600)};
};

/// What came through the connection.
struct StreamResult {
  std::uint64_t received = 0;  ///< bytes of the core
  /// Why the stream ended before the core was whole; empty if it is whole.
  std::string trouble;
};

/// Reads a core off `connection` (non-blocking; a coredump socket behind the handshake, or a pipe) into
/// `writer`, until it is whole, the peer ends it, a deadline passes, or the writer fails. `head` learns the
/// core's head. `progress` counts the bytes for a watchdog.
[[nodiscard]] StreamResult CaptureStream(const Fd& connection, const CaptureDeadlines& deadlines,
                                         CoreHead& head, CoreWriter& writer,
                                         std::atomic<std::uint64_t>& progress);

/// Waits until `fd` has bytes or an end; false when `deadline` (CLOCK_MONOTONIC, ns) passes first.
[[nodiscard]] bool WaitReadable(const Fd& fd, std::int64_t deadline);

}  // namespace obit
