#include "dump/coredump_client.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <sys/socket.h>

namespace obit {
namespace {

/// recv(2) with flags, EINTR retried; 0 for an end or an error, which are one to the kernel's code.
std::size_t Receive(const Fd& server, void* to, std::size_t size, int flags) {
  ssize_t n;
  do n = ::recv(server.get(), to, size, flags);
  while (n < 0 && errno == EINTR);
  return n < 0 ? 0 : static_cast<std::size_t>(n);
}

Result<void> Send(const Fd& server, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(server.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(errno, "send to the coredump server");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

/// The checks on a whole answer, in the kernel's order.
CoredumpMark Judge(const CoredumpAck& ack, const CoredumpOffer& offer) {
  const auto asks = [&ack](std::uint64_t bit) { return (ack.mask & bit) != 0; };
  if (asks(~offer.mask)) return CoredumpMark::kUnsupported;
  if (std::popcount(ack.mask & (kCoredumpKernel | kCoredumpUserspace | kCoredumpReject)) != 1)
    return CoredumpMark::kConflicting;
  if (asks(kCoredumpRecords | kCoredumpMemoryTypes) && !asks(kCoredumpKernel))
    return CoredumpMark::kConflicting;
  if (asks(kCoredumpSparse) && !asks(kCoredumpRecords)) return CoredumpMark::kConflicting;
  if (ack.spare != 0) return CoredumpMark::kUnsupported;
  if (asks(kCoredumpMemoryTypes) && ack.size < sizeof ack) return CoredumpMark::kMinSize;
  if ((ack.memory_types & ~(asks(kCoredumpMemoryTypes) ? offer.memory_types_mask : 0)) != 0)
    return CoredumpMark::kUnsupported;
  return CoredumpMark::kAccepted;
}

}  // namespace

CoredumpOffer OfferOfLinux74(std::uint64_t coredump_filter) {
  return {.size = sizeof(CoredumpRequest),
          .size_ack = sizeof(CoredumpAck),
          .mask = kCoredumpKernel | kCoredumpUserspace | kCoredumpReject | kCoredumpWait | kCoredumpRecords |
                  kCoredumpSparse | kCoredumpMemoryTypes,
          .memory_types = coredump_filter,
          .memory_types_mask = 0x1ff};
}

std::vector<std::byte> EncodeCoredumpRequest(const CoredumpOffer& offer) {
  const CoredumpRequest request{offer.size, offer.size_ack, offer.mask, offer.memory_types,
                                offer.memory_types_mask};
  std::vector<std::byte> wire(std::max<std::size_t>(offer.size, kCoredumpRequestMin));
  std::memcpy(wire.data(), &request, std::min(wire.size(), sizeof request));
  return wire;
}

Result<CoredumpAgreement> Negotiate(const Fd& server, const CoredumpOffer& offer) {
  OBIT_TRY(Send(server, EncodeCoredumpRequest(offer)));
  CoredumpAgreement agreement;
  std::uint32_t size = 0;
  // Peeked, so an answer whose first piece is shorter than 4 bytes ends the dump without a mark.
  if (Receive(server, &size, sizeof size, MSG_PEEK | MSG_WAITALL) != sizeof size) return agreement;
  if (size < kCoredumpAckMin) {
    agreement.mark = CoredumpMark::kMinSize;
  } else if (size > offer.size_ack) {
    agreement.mark =
        CoredumpMark::kMaxSize;  // the answer stays unread: the server sees ECONNRESET after the mark
  } else {
    std::vector<std::byte> wire(size);
    if (Receive(server, wire.data(), wire.size(), MSG_WAITALL) != wire.size()) return agreement;
    CoredumpAck ack{};
    std::memcpy(&ack, wire.data(), std::min(wire.size(), sizeof ack));
    agreement.mark = Judge(ack, offer);
    agreement.mask = ack.mask;
    agreement.memory_types = ack.memory_types;
  }
  const bool sent = Send(server, std::as_bytes(std::span(&*agreement.mark, 1))).has_value();
  return sent || agreement.rejected() ? agreement : CoredumpAgreement{};
}

Result<void> SendCore(const Fd& server, std::span<const std::byte> core) {
  constexpr std::size_t kPage = 4096;
  for (std::size_t at = 0; at < core.size(); at += kPage)
    OBIT_TRY(Send(server, core.subspan(at, std::min(kPage, core.size() - at))));
  ::shutdown(server.get(), SHUT_WR);
  return {};
}

void AwaitRelease(const Fd& server) {
  std::byte any{};
  (void)Receive(server, &any, 1, MSG_WAITALL);
}

}  // namespace obit
