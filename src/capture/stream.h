#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "elf/core_head.h"
#include "store/core_writer.h"

namespace obit {

/// How long a capture may take. A crashed process is held for no longer.
struct CaptureDeadlines {
  std::chrono::nanoseconds progress{std::chrono::seconds(30)};  ///< without a byte
  std::chrono::nanoseconds whole{std::chrono::seconds(600)};
};

/// The core as the kernel sends it, from its first byte to its last. What fails here says why the core ends
/// early: the peer ended it, a deadline passed, or the writer failed.
class CoreStream {
 public:
  /// `connection` is non-blocking: a coredump socket behind the handshake, or a pipe. `progress` counts the
  /// bytes for a watchdog. Both outlive this object.
  CoreStream(const Fd& connection, const CaptureDeadlines& deadlines, std::atomic<std::uint64_t>& progress);

  /// How much of the core has come.
  [[nodiscard]] std::uint64_t position() const { return position_; }

  /// Reads from the start until `head` is complete, and perhaps some memory behind it, into `writer`, which
  /// gets no more than the first `max` bytes.
  [[nodiscard]] Result<void> ReadHead(CoreHead& head, CoreWriter& writer, std::uint64_t max = UINT64_MAX);
  /// Reads the head and nothing behind it, and without a writer. Returns what came, of a core of at most
  /// `small` bytes; of a larger one that is gone.
  [[nodiscard]] Result<std::vector<std::byte>> ReadHeadAside(CoreHead& head, std::uint64_t small);
  /// Reads on up to `end`, an offset in the core, into `writer`.
  [[nodiscard]] Result<void> Copy(std::uint64_t end, CoreWriter& writer);
  /// Reads on up to `end` and keeps nothing.
  [[nodiscard]] Result<void> Discard(std::uint64_t end);
  /// Reads the next bytes of the core, as many as there are; they end at `end` at the latest.
  [[nodiscard]] Result<std::span<const std::byte>> Read(std::span<std::byte> room, std::uint64_t end);

  /// The kernel sends no more: it is done, or its process was killed.
  [[nodiscard]] bool HungUp() const;
  /// When the whole deadline ends, CLOCK_MONOTONIC, ns.
  [[nodiscard]] std::int64_t deadline() const { return end_; }
  /// ETIMEDOUT once the whole deadline has passed.
  [[nodiscard]] Result<void> CheckDeadline() const;

 private:
  /// 0: the stream has ended.
  Result<std::size_t> ReadSome(std::span<std::byte> room);
  std::unexpected<Error> EndedEarly(const std::optional<std::uint64_t>& promised) const;

  const Fd& connection_;
  const CaptureDeadlines deadlines_;
  std::atomic<std::uint64_t>& progress_;
  std::int64_t last_byte_, end_;  // CLOCK_MONOTONIC, ns
  std::uint64_t position_ = 0;
  std::optional<std::uint64_t> promised_;  // by the head
};

/// Waits until `fd` has bytes or an end; false when `deadline` (CLOCK_MONOTONIC, ns) passes first.
[[nodiscard]] bool WaitReadable(const Fd& fd, std::int64_t deadline);

}  // namespace obit
