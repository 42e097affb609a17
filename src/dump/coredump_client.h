#pragma once

// The kernel's half of a coredump socket, in user space: what fs/coredump.c does with the server at the other
// end (coredump_sock_request, coredump_sock_mark, coredump_sock_wait of Linux 6.17, and what 7.4 adds).

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/coredump_socket.h"

namespace obit {

/// What a kernel offers. The defaults are Linux 6.17 to 7.3; a newer one has a longer request and more bits.
struct CoredumpOffer {
  std::uint32_t size = kCoredumpRequestMin;
  std::uint32_t size_ack = kCoredumpAckMin;
  std::uint64_t mask = kCoredumpKernel | kCoredumpUserspace | kCoredumpReject | kCoredumpWait;
  std::uint64_t memory_types = 0, memory_types_mask = 0;  ///< in a request that is long enough
};
/// What Linux 7.4 is to offer for a process with this coredump_filter.
[[nodiscard]] CoredumpOffer OfferOfLinux74(std::uint64_t coredump_filter);

/// How the negotiation ended for the dumping side.
struct CoredumpAgreement {
  /// The mark that was sent; none if the server hung up or its answer came in pieces. A server that rejects
  /// may hang up before the mark: the dump ends the same.
  std::optional<CoredumpMark> mark;
  // What the server asked for, if the mark is kAccepted.
  std::uint64_t mask = 0;
  std::uint64_t memory_types = 0;  ///< with kCoredumpMemoryTypes
  [[nodiscard]] bool dumps() const {
    return mark == CoredumpMark::kAccepted && (mask & kCoredumpKernel) != 0;
  }
  [[nodiscard]] bool rejected() const {
    return mark == CoredumpMark::kAccepted && (mask & kCoredumpReject) != 0;
  }
  [[nodiscard]] bool waits() const {
    return mark == CoredumpMark::kAccepted && (mask & kCoredumpWait) != 0 && !rejected();
  }
};

/// The request on the wire: the fields, then zeros up to its size.
[[nodiscard]] std::vector<std::byte> EncodeCoredumpRequest(const CoredumpOffer& offer);

/// Sends the request, takes the answer, checks it as the kernel does and in its order, sends the mark. Blocks
/// as long as the server does. Fails only if the request cannot be sent.
[[nodiscard]] Result<CoredumpAgreement> Negotiate(const Fd& server, const CoredumpOffer& offer);

/// Sends `core`, in pieces of a page, and ends the sending side. EPIPE: the server wants no more.
[[nodiscard]] Result<void> SendCore(const Fd& server, std::span<const std::byte> core);

/// Blocks until the server closes or sends anything: the release of the process.
void AwaitRelease(const Fd& server);

}  // namespace obit
