#pragma once

#include <cerrno>
#include <cstdint>

#include <sys/statfs.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// How large a file system is, in bytes.
struct DiskSpace {
  std::uint64_t all = 0;
  std::uint64_t free = 0;  ///< for whoever is not root
};

/// Asks the file system that `file` is on.
[[nodiscard]] inline Result<DiskSpace> DiskSpaceOf(const Fd& file) {
  struct statfs status{};
  if (::fstatfs(file.get(), &status) < 0) return Fail(errno, "ask how much of the disk is free");
  const auto block = static_cast<std::uint64_t>(status.f_frsize);
  return DiskSpace{std::uint64_t{status.f_blocks} * block, std::uint64_t{status.f_bavail} * block};
}

}  // namespace obit
