#include "capture/stream.h"

#include <algorithm>

#include <poll.h>
#include <unistd.h>

#include "base/clock.h"

namespace obit {
namespace {

std::string Describe(std::chrono::nanoseconds time) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return milliseconds % 1000 == 0 ? fmt::format("{} s", milliseconds / 1000)
                                  : fmt::format("{} ms", milliseconds);
}

/// What the end of the stream means: the kernel closes alike after the last byte and after SIGKILL.
std::string TroubleAtEnd(const CoreHead& head, std::uint64_t received) {
  if (!head.invalid().empty()) return "what arrived is not a core: " + head.invalid();
  if (received == 0) return "the kernel sent nothing";
  if (const auto promised = head.core_bytes()) {
    if (received >= *promised) return {};
    return fmt::format("the stream ended after {} of {} bytes", received, *promised);
  }
  return fmt::format("the stream ended after {} bytes, within the program headers", received);
}

}  // namespace

bool WaitReadable(const Fd& fd, std::int64_t deadline) {
  for (;;) {
    const std::int64_t left = deadline - MonotonicNow();
    if (left <= 0) return false;
    pollfd watched{fd.get(), POLLIN, 0};
    const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
    if (::ppoll(&watched, 1, &timeout, nullptr) > 0) return true;
  }
}

StreamResult CaptureStream(const Fd& connection, const CaptureDeadlines& deadlines, CoreHead& head,
                           CoreWriter& writer, std::atomic<std::uint64_t>& progress) {
  StreamResult result;
  const std::int64_t end = MonotonicNow() + deadlines.whole.count();
  std::int64_t last_byte = MonotonicNow();
  for (;;) {
    if (const auto promised = head.core_bytes(); promised && result.received >= *promised) return result;
    if (!head.invalid().empty()) break;
    const auto room = writer.Buffer();
    ssize_t n = ::read(connection.get(), room.data(), room.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      const std::int64_t stalled = last_byte + deadlines.progress.count();
      if (!WaitReadable(connection, std::min(stalled, end))) {
        result.trouble = stalled < end ? fmt::format("no byte came for {}, after {}",
                                                     Describe(deadlines.progress), result.received)
                                       : fmt::format("it took longer than {}", Describe(deadlines.whole));
        return result;
      }
      continue;
    }
    if (n < 0 && errno != ECONNRESET) {
      result.trouble = fmt::format("the stream broke: {}", std::generic_category().message(errno));
      return result;
    }
    if (n <= 0) break;
    head.Feed(room.first(static_cast<std::size_t>(n)));
    // A peer that goes on after the end is not listened to.
    if (const auto promised = head.core_bytes())
      n = static_cast<ssize_t>(
          std::min(static_cast<std::uint64_t>(n), *promised - std::min(*promised, result.received)));
    result.received += static_cast<std::uint64_t>(n);
    progress.store(result.received, std::memory_order_relaxed);
    last_byte = MonotonicNow();
    if (const auto advanced = writer.Advance(static_cast<std::size_t>(n)); !advanced) {
      result.trouble = advanced.error().what;
      return result;
    }
    if (last_byte >= end) {
      result.trouble = fmt::format("it took longer than {}", Describe(deadlines.whole));
      return result;
    }
  }
  result.trouble = TroubleAtEnd(head, result.received);
  return result;
}

}  // namespace obit
