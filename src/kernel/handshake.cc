#include "kernel/handshake.h"

#include <cstring>

namespace obit {

std::string_view NameOf(CoredumpWish wish) {
  switch (wish) {
    case CoredumpWish::kCore:
      return "a core";
    case CoredumpWish::kEvent:
      return "an event";
    case CoredumpWish::kReject:
      return "a rejection";
  }
  return "nothing";
}

std::size_t Handshake::wanted() const {
  switch (state_) {
    case State::kRequest: {
      if (received_.size() < 4) return 4 - received_.size();
      const auto size = CoredumpRequestSize(std::span(received_).first<4>());
      return size ? *size - received_.size() : 0;
    }
    case State::kMark:
      return sizeof(CoredumpMark) - received_.size();
    case State::kAnswer:
    case State::kAccepted:
    case State::kRefused:
      return 0;
  }
  return 0;
}

Result<void> Handshake::Receive(std::span<const std::byte> bytes) {
  if (bytes.size() > wanted()) return Refuse(EBADMSG, "more bytes than the coredump exchange has room for");
  received_.insert(received_.end(), bytes.begin(), bytes.end());
  if (state_ == State::kRequest && received_.size() >= 4) {
    const std::size_t size = OBIT_TRY(CoredumpRequestSize(std::span(received_).first<4>()));
    if (received_.size() < size) return {};
    request_ = OBIT_TRY(DecodeCoredumpRequest(received_));
    received_.clear();
    state_ = State::kAnswer;
  } else if (state_ == State::kMark && received_.size() == sizeof mark_) {
    std::memcpy(&mark_, received_.data(), sizeof mark_);
    received_.clear();
    state_ = mark_ == CoredumpMark::kAccepted ? State::kAccepted : State::kRefused;
  }
  return {};
}

Result<CoredumpAck> Handshake::Answer(CoredumpWish wish, std::optional<std::uint64_t> memory_types) {
  const auto offered = [this](std::uint64_t bit) { return (request_.mask & bit) != 0; };
  std::uint64_t mask = 0;
  switch (wish) {
    case CoredumpWish::kCore:
      if (offered(kCoredumpKernel)) mask = kCoredumpKernel;
      break;
    case CoredumpWish::kEvent:
      // Userspace, so that the parent sees "core dumped". Where it is not on offer, a dump that the server
      // cuts short.
      if (offered(kCoredumpUserspace))
        mask = kCoredumpUserspace;
      else if (offered(kCoredumpKernel))
        mask = kCoredumpKernel;
      break;
    case CoredumpWish::kReject:
      if (offered(kCoredumpReject)) mask = kCoredumpReject;
      break;
  }
  if (mask == 0)
    return Refuse(ENOTSUP, "the kernel offers coredump features {:#x}: none for {}", request_.mask,
                  NameOf(wish));
  if (mask != kCoredumpReject && offered(kCoredumpWait))
    mask |= kCoredumpWait;  // Wait has no effect on Reject
  state_ = State::kMark;
  const bool takes_types = memory_types && wish == CoredumpWish::kCore && offered(kCoredumpMemoryTypes) &&
                           request_.size_ack >= sizeof(CoredumpAck) &&
                           (*memory_types & ~request_.memory_types_mask) == 0;
  if (!takes_types) return CoredumpAck{.size = kCoredumpAckMin, .spare = 0, .mask = mask};
  return CoredumpAck{.size = sizeof(CoredumpAck),
                     .spare = 0,
                     .mask = mask | kCoredumpMemoryTypes,
                     .memory_types = *memory_types};
}

}  // namespace obit
