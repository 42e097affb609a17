#include "kernel/version.h"

#include <charconv>

#include <sys/utsname.h>

namespace obit {

Result<KernelVersion> ParseKernelVersion(std::string_view release) {
  KernelVersion version;
  const char* const end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.major);
  if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.')
    if (std::from_chars(major.ptr + 1, end, version.minor).ec == std::errc()) return version;
  return Refuse(EBADMSG, "kernel release \"{}\" does not begin with two numbers", release);
}

std::string KernelRelease() {
  utsname names{};
  return ::uname(&names) == 0 ? names.release : "";
}

}  // namespace obit
