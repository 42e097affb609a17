#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include <sys/types.h>

#include "base/file_stamp.h"

namespace obit {

/// Where programs crash: one place of one program, the same for each of its processes. What abort(3) and the
/// like end has one place, where the signal is sent; so has code that lies in no file.
struct CrashSite {
  // Whose it is. What one user crashes says nothing of another's, nor of the same program with more rights.
  uid_t uid = 0;            ///< the real one
  bool privileged = false;  ///< by its dump mode, ids and capabilities
  bool wants_core = true;   ///< its RLIMIT_CORE is not 0
  std::string service;      ///< systemd's service, a container or a pod; empty if it is in none
  /// The service's name is the system's own: no service or container that it lies in can have chosen it.
  bool service_of_system = false;
  std::uint64_t container =
      0;  ///< a hash of the outermost container or pod; 0: on the host, or below a service

  int signal = 0;
  FileStamp program;               ///< the file that it executes
  std::uint64_t module_inode = 0;  ///< the file that the crashing pc lies in; 0: in none
  std::uint64_t offset = 0;        ///< of the pc in that file, bytes

  // What the process itself chooses, so that it only tells variants of a site (CrashSites).
  std::string comm;           ///< scripts have their own, though their program is one interpreter
  std::uint64_t callers = 0;  ///< of the program's own code, where the place tells little (CallersOf)
  auto operator<=>(const CrashSite&) const = default;
};

}  // namespace obit
