// Any text as /proc/PID/mountinfo.

#include "kernel/local_mounts.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)obit::LocalMounts::Parse(text, obit::LocalMounts::OverlaysIn(text));
  return 0;
}
