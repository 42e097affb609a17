#include "kernel/let_go_message.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>

#include "base/unix_socket.h"

namespace obit {
namespace {

constexpr int kPatience = 5000;  // ms

}  // namespace

std::optional<std::string> DecodeLetGoMessage(std::span<const std::byte> bytes) {
  LetGoMessage message;
  if (bytes.size() != sizeof message) return std::nullopt;
  std::memcpy(&message, bytes.data(), sizeof message);
  if (message.kind != LetGoMessage::kKind) return std::nullopt;
  return std::string(message.id, sizeof message.id);
}

Result<bool> AskToLetGo(const std::string& socket_path, std::string_view id) {
  const Fd socket = OBIT_TRY(ConnectUnix(socket_path, SOCK_SEQPACKET));
  LetGoMessage message;
  if (id.size() != sizeof message.id) return Refuse(EINVAL, "{} is no id of a crash", id);
  std::ranges::copy(id, message.id);
  OBIT_TRY(SendMessage(socket, std::as_bytes(std::span(&message, 1)), {}));
  pollfd answer{socket.get(), POLLIN, 0};
  if (::poll(&answer, 1, kPatience) <= 0) return Refuse(ETIMEDOUT, "obitd does not answer");
  const auto received = ReceiveMessage(socket, 1, MSG_DONTWAIT);
  return received && received->bytes.size() == 1;
}

}  // namespace obit
