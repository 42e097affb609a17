#pragma once

#include <cstdint>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/handshake.h"

namespace obit {

/// The request that begins at the next byte of `connection`, which is not taken: whoever goes on from there
/// reads it again. Nothing: there is none, or not all of it yet. Never waits. EPIPE, EBADMSG: as
/// CoredumpExchange::Receive().
[[nodiscard]] Result<std::optional<CoredumpRequest>> PeekRequest(const Fd& connection);

/// Handshake on a connection: the server's half of a coredump socket, whoever holds it. Nothing here waits.
/// The manager calls Receive() whenever epoll says that there is something, and Send() once it has decided;
/// a worker goes on from an offer that was read elsewhere, and waits by poll between two calls.
///
///   accept -> Receive() until kRequest  -> Send(wish) -> Receive() until kMark
///                    or until kCore: "@", there is no exchange; all of the core is still to be read
///
/// What is behind the mark is never read: there the core begins.
class CoredumpExchange {
 public:
  enum class Step {
    kMore,     ///< not all is there: call again once the connection is readable
    kRequest,  ///< the offer is whole, request() has it; Send() is next
    kCore,     ///< the connection carries a core without an exchange; not a byte of it was taken
    kMark,     ///< the kernel's verdict on the answer is there, mark() has it
  };

  /// `connection` is the caller's and outlives this object.
  explicit CoredumpExchange(const Fd& connection) : connection_(connection) {}
  /// The offer has been read, by another process perhaps: Send() is next.
  CoredumpExchange(const Fd& connection, const CoredumpRequest& request)
      : connection_(connection), handshake_(request) {}

  /// Reads what is there of the request, or of the mark. Where nothing is awaited (kRequest before Send(),
  /// kMark) it reads nothing and says the same again. EPIPE: the connection ended. EBADMSG: what came is
  /// neither a request nor a core. A kernel begins either with 4 bytes at least in one piece; a core that
  /// does not is EBADMSG.
  [[nodiscard]] Result<Step> Receive();

  /// Answers the offer, in one piece, and returns what was asked for (Handshake::Answer). ENOTSUP: the kernel
  /// offers nothing that would do. EPIPE: the connection ended.
  [[nodiscard]] Result<CoredumpAck> Send(CoredumpWish wish,
                                         std::optional<std::uint64_t> memory_types = std::nullopt);

  /// After kMark: EPROTO unless the kernel accepted the answer.
  [[nodiscard]] Result<void> Verdict() const;

  [[nodiscard]] Handshake::State state() const { return handshake_.state(); }
  [[nodiscard]] const CoredumpRequest& request() const { return handshake_.request(); }  ///< from kRequest on
  [[nodiscard]] CoredumpMark mark() const { return handshake_.mark(); }                  ///< after kMark

 private:
  [[nodiscard]] Result<Step> ReceiveFirst();
  [[nodiscard]] Result<Step> Reached() const;

  const Fd& connection_;
  Handshake handshake_;
  bool begun_ = false;  // a part of the request was taken
};

}  // namespace obit
