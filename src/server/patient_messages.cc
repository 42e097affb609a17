#include "server/patient_messages.h"

#include <cerrno>

#include <poll.h>

#include "base/limits.h"

namespace obit {
namespace {

constexpr int kPause = 10;  // ms, until there may be memory again

}  // namespace

Result<void> SendPatiently(const Fd& socket, std::span<const std::byte> bytes) {
  for (;;) {
    auto sent = SendMessage(socket, bytes, {});
    if (sent) return sent;
    const bool is_full = sent.error().code == EAGAIN;
    if (!is_full && !IsShortage(sent.error())) return sent;
    pollfd room{socket.get(), static_cast<short>(is_full ? POLLOUT : 0), 0};
    ::poll(&room, 1, is_full ? -1 : kPause);
  }
}

Result<Message> ReceivePatiently(const Fd& socket, std::size_t max) {
  for (;;) {
    auto message = ReceiveMessage(socket, max, 0);
    if (message || !IsShortage(message.error())) return message;
    ::poll(nullptr, 0, kPause);
  }
}

}  // namespace obit
