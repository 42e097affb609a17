#pragma once

namespace obit {

inline constexpr const char* kDefaultSocket = "/run/obit/coredump.socket";  ///< the kernel connects here
inline constexpr const char* kDefaultPipeSocket = "/run/obit/pipe.socket";  ///< obit-pipe connects here
inline constexpr const char* kDefaultUser = "obit";

}  // namespace obit
