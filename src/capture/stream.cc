#include "capture/stream.h"

#include <algorithm>
#include <array>

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

CoreStream::CoreStream(const Fd& connection, const CaptureDeadlines& deadlines,
                       std::atomic<std::uint64_t>& progress)
    : connection_(connection),
      deadlines_(deadlines),
      progress_(progress),
      last_byte_(MonotonicNow()),
      end_(last_byte_ + deadlines.whole.count()) {}

Result<void> CoreStream::CheckDeadline() const {
  if (MonotonicNow() < end_) return {};
  return Refuse(ETIMEDOUT, "it took longer than {}", Describe(deadlines_.whole));
}

Result<std::size_t> CoreStream::ReadSome(std::span<std::byte> room) {
  OBIT_TRY(CheckDeadline());
  for (;;) {
    const ssize_t n = ::read(connection_.get(), room.data(), room.size());
    if (n >= 0 || errno == ECONNRESET) {
      const auto got = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
      position_ += got;
      progress_.fetch_add(got, std::memory_order_relaxed);
      last_byte_ = MonotonicNow();
      return got;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Refuse(errno, "the stream broke: {}", std::generic_category().message(errno));
    const std::int64_t stalled = last_byte_ + deadlines_.progress.count();
    if (WaitReadable(connection_, std::min(stalled, end_))) continue;
    OBIT_TRY(CheckDeadline());
    return Refuse(ETIMEDOUT, "no byte came for {}, after {}", Describe(deadlines_.progress), position_);
  }
}

/// The kernel closes alike after the last byte and after SIGKILL.
std::unexpected<Error> CoreStream::EndedEarly(const std::optional<std::uint64_t>& promised) const {
  if (position_ == 0) return Refuse(EPIPE, "the kernel sent nothing");
  if (promised) return Refuse(EPIPE, "the stream ended after {} of {} bytes", position_, *promised);
  return Refuse(EPIPE, "the stream ended after {} bytes, within the program headers", position_);
}

Result<void> CoreStream::ReadHead(CoreHead& head, CoreWriter& writer, std::uint64_t max) {
  while (!head.complete()) {
    const std::uint64_t begin = position_;
    const auto room = writer.Buffer();
    std::size_t n = OBIT_TRY(ReadSome(room));
    if (n == 0) return EndedEarly(head.core_bytes());
    head.Feed(room.first(n));
    promised_ = head.core_bytes();
    if (promised_ && position_ > *promised_) {  // a peer that goes on after the end is not listened to
      n -= position_ - *promised_;
      position_ = *promised_;
    }
    n = std::min<std::uint64_t>(n, max - std::min(begin, max));
    if (n > 0) OBIT_TRY(writer.Advance(n));
    if (!head.invalid().empty()) return Refuse(EBADMSG, "what arrived is not a core: {}", head.invalid());
  }
  return {};
}

Result<std::vector<std::byte>> CoreStream::ReadHeadAside(CoreHead& head, std::uint64_t small) {
  std::vector<std::byte> room(64 * 1024), come;
  while (!head.complete()) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), head.at_least()));
    const std::size_t n = OBIT_TRY(ReadSome(std::span(room).first(want)));
    if (n == 0) return EndedEarly(head.core_bytes());
    head.Feed(std::span(room).first(n));
    if (!head.invalid().empty()) return Refuse(EBADMSG, "what arrived is not a core: {}", head.invalid());
    promised_ = head.core_bytes();
    if (promised_ && *promised_ > small)
      come = {};
    else
      come.insert(come.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return come;
}

Result<std::span<const std::byte>> CoreStream::Read(std::span<std::byte> room, std::uint64_t end) {
  room = room.first(std::min<std::uint64_t>(room.size(), end - position_));
  const std::size_t n = OBIT_TRY(ReadSome(room));
  if (n == 0) return EndedEarly(promised_);
  return room.first(n);
}

Result<void> CoreStream::Copy(std::uint64_t end, CoreWriter& writer) {
  while (position_ < end) OBIT_TRY(writer.Advance(OBIT_TRY(Read(writer.Buffer(), end)).size()));
  return {};
}

Result<void> CoreStream::Discard(std::uint64_t end) {
  std::array<std::byte, 64 * 1024> room{};
  while (position_ < end) (void)OBIT_TRY(Read(room, end));
  return {};
}

bool CoreStream::HungUp() const {
  pollfd watched{connection_.get(), POLLRDHUP, 0};
  return ::poll(&watched, 1, 0) > 0;  // POLLHUP and POLLERR are told unasked
}

}  // namespace obit
