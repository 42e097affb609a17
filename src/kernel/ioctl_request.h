#pragma once

#include <array>
#include <cstdint>

#include <sys/ioctl.h>

namespace obit {

/// A request of ioctl(2) that reads and writes a structure. Kernels take longer and shorter ones, and the
/// size is a part of the request: filters go by the rest.
struct IoctlRequest {
  std::uint32_t type, number;

  template <class Argument>
  [[nodiscard]] constexpr unsigned long With() const {
    return _IOWR(type, number, Argument);
  }
  [[nodiscard]] constexpr std::uint64_t without_size() const { return type << 8 | number; }
};

// The headers of Debian 12 do not have them.
inline constexpr IoctlRequest kAskPidfdInfo{0xff, 11};  // include/uapi/linux/pidfd.h of Linux 6.13
inline constexpr IoctlRequest kScanPagemap{'f', 16};    // include/uapi/linux/fs.h of Linux 6.7
inline constexpr IoctlRequest kQueryMapping{'f', 17};   // the same, Linux 6.11

// include/uapi/linux/userfaultfd.h: USERFAULTFD_IOC_NEW of /dev/userfaultfd (Linux 6.1) and UFFDIO_REGISTER
// of what that gives, which have one number; UFFDIO_API.
inline constexpr std::array<IoctlRequest, 2> kKeepMemory{{{0xaa, 0x00}, {0xaa, 0x3f}}};

}  // namespace obit
