// Any bytes as a message of obit-pipe; the first one is the number of descriptors that came along.

#include <cstdlib>

#include "kernel/pipe_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const auto message = obit::DecodePipeMessage(bytes, data[0]);
  if (!message) return 0;
  if (bytes.size() != sizeof(obit::PipeMessage) || message->version != obit::PipeMessage::kVersion)
    std::abort();
  if (message->pid <= 0 || data[0] != (message->has_pidfd != 0 ? 2 : 1)) std::abort();
  return 0;
}
