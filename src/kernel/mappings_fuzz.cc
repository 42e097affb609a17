// Any text as /proc/PID/maps or smaps.

#include <cstdlib>

#include "kernel/mappings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto mappings = obit::ParseMappings({reinterpret_cast<const char*>(data), size});
  if (!mappings) {
    if (mappings.error().code != EBADMSG && mappings.error().code != EFBIG) std::abort();
    return 0;
  }
  for (const auto& mapping : *mappings)
    if (mapping.end <= mapping.begin) std::abort();
  return 0;
}
