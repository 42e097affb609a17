// Any text as /proc/PID/mountinfo.

#include "kernel/local_mounts.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)obit::LocalMounts::Parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
