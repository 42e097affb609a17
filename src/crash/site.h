#pragma once

#include <compare>
#include <cstdint>

#include <sys/types.h>

namespace obit {

/// Where programs crash: one place of one program, the same for each of its processes. What abort(3) and the
/// like end is one site for each program, the place where the signal is sent.
struct CrashSite {
  uid_t uid = 0;  ///< of the process: what one user crashes says nothing of another's
  int signal = 0;
  std::uint64_t program_inode = 0;   ///< with the time: a program that was built anew has other sites
  std::int64_t program_changed = 0;  ///< ns since 1970
  std::uint64_t module_inode = 0;    ///< the file that the crashing pc lies in; 0: in none
  std::uint64_t offset = 0;          ///< of the pc in that file, bytes
  auto operator<=>(const CrashSite&) const = default;
};

}  // namespace obit
