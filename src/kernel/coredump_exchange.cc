#include "kernel/coredump_exchange.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include <sys/socket.h>

#include "base/limits.h"

namespace obit {
namespace {

std::unexpected<Error> Gone() { return Refuse(EPIPE, "the process was gone before its dump began"); }

/// What is there, `room` at most; nothing: it has to be waited for.
Result<std::optional<std::size_t>> ReceiveSome(const Fd& connection, std::span<std::byte> room, int flags) {
  for (;;) {
    const ssize_t n = ::recv(connection.get(), room.data(), room.size(), MSG_DONTWAIT | flags);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return std::nullopt;
    if (n < 0 && IsShortage({errno, {}})) return std::nullopt;  // it is still there
    return Gone();
  }
}

}  // namespace

/// Looks before it takes: of a core not a byte may be missing.
Result<CoredumpExchange::Step> CoredumpExchange::ReceiveFirst() {
  std::array<std::byte, kCoredumpRequestMax> bytes;
  const auto seen = OBIT_TRY(ReceiveSome(connection_, bytes, MSG_PEEK));
  if (!seen) return Step::kMore;
  constexpr std::size_t kBegin = 4;
  if (*seen >= kBegin && BeginsElf(std::span(bytes).first<kBegin>())) return Step::kCore;
  begun_ = true;
  std::size_t taken = 0;
  while (handshake_.wanted() > 0 && taken < *seen) {
    const auto part = std::span(bytes).subspan(taken, std::min(handshake_.wanted(), *seen - taken));
    OBIT_TRY(handshake_.Receive(part));
    taken += part.size();
  }
  (void)OBIT_TRY(ReceiveSome(connection_, std::span(bytes).first(taken), 0));  // they are there
  return handshake_.wanted() > 0 ? Receive() : Reached();
}

/// Nothing more is wanted.
Result<CoredumpExchange::Step> CoredumpExchange::Reached() const {
  if (state() == Handshake::State::kRequest) return Refuse(EBADMSG, "the coredump exchange has failed");
  return state() == Handshake::State::kAnswer ? Step::kRequest : Step::kMark;
}

Result<CoredumpExchange::Step> CoredumpExchange::Receive() {
  if (state() == Handshake::State::kRequest && !begun_) return ReceiveFirst();
  std::array<std::byte, kCoredumpRequestMax> bytes;
  while (handshake_.wanted() > 0) {
    const auto room = std::span(bytes).first(handshake_.wanted());
    const auto got = OBIT_TRY(ReceiveSome(connection_, room, 0));
    if (!got) return Step::kMore;
    OBIT_TRY(handshake_.Receive(room.first(*got)));
  }
  return Reached();
}

Result<void> CoredumpExchange::Send(CoredumpWish wish) {
  const CoredumpAck ack = OBIT_TRY(handshake_.Answer(wish));
  // In one piece: the kernel drops a dump whose answer begins with fewer than 4 bytes. There is room for it:
  // nothing was sent before.
  for (int tries = 2;; --tries) {
    ssize_t n = 0;
    do n = ::send(connection_.get(), &ack, sizeof ack, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == sizeof ack) return {};
    if (n >= 0 || tries == 1 || !IsShortage({errno, {}})) return Gone();
  }
}

Result<void> CoredumpExchange::Verdict() const {
  if (state() == Handshake::State::kAccepted) return {};
  return Refuse(EPROTO, "the kernel refused the answer: {}", Describe(mark()));
}

}  // namespace obit
