#include "kernel/coredump_socket.h"

#include <cstring>

namespace obit {

std::string_view Describe(CoredumpMark mark) {
  switch (mark) {
    case CoredumpMark::kAccepted:
      return "accepted";
    case CoredumpMark::kMinSize:
      return "answer too short";
    case CoredumpMark::kMaxSize:
      return "answer too long";
    case CoredumpMark::kUnsupported:
      return "unsupported flag";
    case CoredumpMark::kConflicting:
      return "conflicting flags";
  }
  return "unknown mark";
}

Result<CoredumpRequest> DecodeCoredumpRequest(std::span<const std::byte> wire) {
  CoredumpRequest request{};
  if (wire.size() < kCoredumpRequestMin)
    return Refuse(EBADMSG, "coredump request has {} bytes, {} are the least", wire.size(),
                  kCoredumpRequestMin);
  std::memcpy(&request, wire.data(), wire.size() < sizeof request ? kCoredumpRequestMin : sizeof request);
  if (request.size != wire.size() || request.size >= kCoredumpRequestMax)
    return Refuse(EBADMSG, "coredump request of {} bytes says {}", wire.size(), request.size);
  if (request.size_ack < kCoredumpAckMin)
    return Refuse(EBADMSG, "coredump request takes answers of {} bytes, {} are the least", request.size_ack,
                  kCoredumpAckMin);
  return request;
}

Result<std::size_t> CoredumpRequestSize(std::span<const std::byte, 4> first) {
  std::uint32_t size;
  std::memcpy(&size, first.data(), sizeof size);
  if (size < kCoredumpRequestMin || size >= kCoredumpRequestMax)
    return Refuse(EBADMSG, "coredump request says it has {} bytes", size);
  return size;
}

bool BeginsElf(std::span<const std::byte, 4> first) { return std::memcmp(first.data(), "\177ELF", 4) == 0; }

}  // namespace obit
