#pragma once

#include <compare>
#include <cstdint>

namespace obit {

/// Tells a file from the one that is made anew in its place. Without the device, which differs for each
/// container of one image (overlayfs).
struct FileStamp {
  std::uint64_t inode = 0;
  /// When it was made and last written, seconds and ns since 1970 as its file system has them, which is any
  /// number; 0 where that is not known.
  std::int64_t made = 0, written = 0;
  std::uint32_t made_ns = 0, written_ns = 0;
  auto operator<=>(const FileStamp&) const = default;
};

}  // namespace obit
