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

constexpr std::size_t kElfBegin = 4;

bool BeginsCore(std::span<const std::byte> bytes) {
  return bytes.size() >= kElfBegin && BeginsElf(bytes.first<kElfBegin>());
}

/// Gives `handshake` what it wants of `bytes`, and returns how many that were.
Result<std::size_t> Feed(Handshake& handshake, std::span<const std::byte> bytes) {
  std::size_t taken = 0;
  while (handshake.wanted() > 0 && taken < bytes.size()) {
    const auto part = bytes.subspan(taken, std::min(handshake.wanted(), bytes.size() - taken));
    OBIT_TRY(handshake.Receive(part));
    taken += part.size();
  }
  return taken;
}

}  // namespace

Result<std::optional<CoredumpRequest>> PeekRequest(const Fd& connection) {
  std::array<std::byte, kCoredumpRequestMax> bytes;
  const auto seen = OBIT_TRY(ReceiveSome(connection, bytes, MSG_PEEK));
  if (!seen || BeginsCore(std::span(bytes).first(*seen))) return std::nullopt;
  Handshake handshake;
  (void)OBIT_TRY(Feed(handshake, std::span(bytes).first(*seen)));
  if (handshake.state() != Handshake::State::kAnswer) return std::nullopt;
  return handshake.request();
}

/// Looks before it takes: of a core not a byte may be missing.
Result<CoredumpExchange::Step> CoredumpExchange::ReceiveFirst() {
  std::array<std::byte, kCoredumpRequestMax> bytes;
  const auto seen = OBIT_TRY(ReceiveSome(connection_, bytes, MSG_PEEK));
  if (!seen) return Step::kMore;
  if (BeginsCore(std::span(bytes).first(*seen))) return Step::kCore;
  begun_ = true;
  const std::size_t taken = OBIT_TRY(Feed(handshake_, std::span(bytes).first(*seen)));
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

Result<CoredumpAck> CoredumpExchange::Send(CoredumpWish wish, std::optional<std::uint64_t> memory_types) {
  const CoredumpAck ack = OBIT_TRY(handshake_.Answer(wish, memory_types));
  // In one piece: the kernel drops a dump whose answer begins with fewer than 4 bytes. There is room for it:
  // nothing was sent before.
  for (int tries = 2;; --tries) {
    ssize_t n = 0;
    do n = ::send(connection_.get(), &ack, ack.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == static_cast<ssize_t>(ack.size)) return ack;
    if (n >= 0 || tries == 1 || !IsShortage({errno, {}})) return Gone();
  }
}

Result<void> CoredumpExchange::Verdict() const {
  if (state() == Handshake::State::kAccepted) return {};
  return Refuse(EPROTO, "the kernel refused the answer: {}", Describe(mark()));
}

}  // namespace obit
