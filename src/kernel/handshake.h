#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/coredump_socket.h"

namespace obit {

/// What a server wants of a crash.
enum class CoredumpWish {
  kCore,    ///< that the kernel sends it
  kEvent,   ///< to know of it: nothing is dumped, and the parent sees "core dumped"
  kReject,  ///< nothing: the parent does not see "core dumped"
};
/// "a core", "an event", "a rejection".
[[nodiscard]] std::string_view NameOf(CoredumpWish wish);

/// The server's half of the "@@" exchange: request, ack, mark. Sees bytes, never a descriptor.
class Handshake {
 public:
  enum class State {
    kRequest,   ///< waits for the kernel's offer
    kAnswer,    ///< the offer is known: Answer() is next
    kMark,      ///< waits for the verdict on the answer
    kAccepted,  ///< what was asked for follows
    kRefused,   ///< the kernel gives up; mark() says why
  };

  Handshake() = default;
  /// Goes on where another process left off: the offer has been read.
  explicit Handshake(const CoredumpRequest& request) : state_(State::kAnswer), request_(request) {}

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const CoredumpRequest& request() const { return request_; }  ///< from kAnswer on
  [[nodiscard]] CoredumpMark mark() const { return mark_; }                  ///< in kAccepted and kRefused

  /// How many bytes may be given to Receive() at most; 0 in states that wait for nothing. Never read more off
  /// the connection: behind the mark the core begins.
  [[nodiscard]] std::size_t wanted() const;
  /// Takes received bytes. EBADMSG: not a request that this protocol allows.
  [[nodiscard]] Result<void> Receive(std::span<const std::byte> bytes);

  /// The answer for `wish`, from the bits on offer; send its `size` bytes in one piece. It asks for a core of
  /// these memory types, if any, and if the kernel takes them: the answer's mask tells. ENOTSUP: the kernel
  /// offers nothing that would do.
  [[nodiscard]] Result<CoredumpAck> Answer(CoredumpWish wish,
                                           std::optional<std::uint64_t> memory_types = std::nullopt);

 private:
  State state_ = State::kRequest;
  std::vector<std::byte> received_;
  CoredumpRequest request_{};
  CoredumpMark mark_{};
};

}  // namespace obit
