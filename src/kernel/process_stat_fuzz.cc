// Any text as a line of /proc/PID/stat.

#include <cstdlib>

#include "kernel/process_stat.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto stat = obit::ParseProcessStat(line);
  if (stat && line.find("(" + stat->comm + ")") == std::string_view::npos) std::abort();
  if (!stat && stat.error().code != EBADMSG) std::abort();
  return 0;
}
