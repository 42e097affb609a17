#include "kernel/pipe_handover.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

constexpr std::byte kTaken{'t'};

bool IsLost(const Error& error) { return error.code == EPIPE || error.code == ECONNRESET; }

enum class Outcome { kAnswered, kLost, kNotYet };

/// Waits until `deadline` (CLOCK_MONOTONIC, ns).
Outcome AwaitAnswer(const Fd& socket, std::int64_t deadline) {
  for (;;) {
    const std::int64_t left = deadline - MonotonicNow();
    if (left <= 0) return Outcome::kNotYet;
    pollfd answer{.fd = socket.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&answer, 1, static_cast<int>(left / 1'000'000 + 1));
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const auto received = ReceiveMessage(socket, 1, MSG_DONTWAIT);
    const bool is_taken = received && received->bytes.size() == 1 && received->bytes[0] == kTaken;
    return is_taken ? Outcome::kAnswered : Outcome::kLost;
  }
}

/// A little, and not beyond `deadline`.
void Pause(std::int64_t deadline) {
  constexpr std::int64_t kPause = 50;  // ms
  const std::int64_t left = (deadline - MonotonicNow()) / 1'000'000;
  if (left > 0) ::poll(nullptr, 0, static_cast<int>(std::min(left, kPause)));
}

}  // namespace

Result<bool> HandOver(const std::string& socket_path, const PipeMessage& message, std::span<const int> fds,
                      std::chrono::milliseconds patience) {
  const std::int64_t deadline = MonotonicNow() + std::chrono::nanoseconds(patience).count();
  for (int tries = 0; tries < kHandOverTries; ++tries) {
    if (tries > 0) Pause(deadline);  // what obitd lacks it may have then
    const Fd socket = OBIT_TRY(ConnectUnix(socket_path, SOCK_SEQPACKET));
    const auto sent = SendMessage(socket, std::as_bytes(std::span(&message, 1)), fds);
    if (!sent && IsLost(sent.error())) continue;
    OBIT_TRY(sent);
    if (const Outcome outcome = AwaitAnswer(socket, deadline); outcome != Outcome::kLost)
      return outcome == Outcome::kAnswered;
  }
  return Fail(ECONNRESET, "hand a crash to obitd, which closed {} connections", kHandOverTries);
}

void AnswerHandOver(const Fd& helper) {
  // A helper that waits no longer has left all it had.
  (void)SendMessage(helper, std::span(&kTaken, 1), {}, MSG_DONTWAIT);
}

}  // namespace obit
