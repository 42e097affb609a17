// Any bytes as a request of the kernel. What is taken must keep to the ranges that the header promises.

#include <cstdlib>

#include "kernel/coredump_socket.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto wire = std::as_bytes(std::span(data, size));
  const auto request = obit::DecodeCoredumpRequest(wire);
  if (request && (request->size != size || size < 16 || size > 4095 || request->size_ack < 16)) std::abort();
  if (request && size < 32 && (request->memory_types != 0 || request->memory_types_mask != 0)) std::abort();
  if (size < 4) return 0;
  const auto promised = obit::CoredumpRequestSize(wire.first<4>());
  if (promised && (*promised < 16 || *promised > 4095 || obit::BeginsElf(wire.first<4>()))) std::abort();
  if (request && (!promised || *promised != size)) std::abort();
  return 0;
}
