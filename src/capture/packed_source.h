#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "capture/core_file.h"

namespace obit {

/// The bytes of a file, a pipe too, from its position on, to be looked at before they are unpacked.
class PackedSource {
 public:
  explicit PackedSource(const Fd& file) : file_(file) {}

  /// The first ones, at most kKindBytes, which Next gives once more.
  [[nodiscard]] Result<std::span<const std::byte>> Begin();
  /// More, until the next call; none: the file has ended.
  [[nodiscard]] Result<std::span<const std::byte>> Next();

 private:
  const Fd& file_;
  std::vector<std::byte> begin_, buffer_;
  bool begun_ = false;
};

[[nodiscard]] bool IsXz(std::span<const std::byte> begin);
[[nodiscard]] bool IsZstd(std::span<const std::byte> begin);
[[nodiscard]] bool IsGzip(std::span<const std::byte> begin);

/// Unpacks .xz, as ReadCoreFile does. Whoever made the file says how much memory that takes, up to 4 GiB:
/// beyond kXzMemoryMax it is not unpacked. (libarchive would take 1 GiB.)
[[nodiscard]] Result<CoreFileEnd> ReadXz(PackedSource& source, CoreFileSink& sink,
                                         const std::function<void(std::uint64_t)>& progress);
inline constexpr std::uint64_t kXzMemoryMax = 160 << 20;  ///< bytes; a dictionary of 128 MiB, and some more

/// The same of .zst. A window of more than 128 MiB is not unpacked.
[[nodiscard]] Result<CoreFileEnd> ReadZstd(PackedSource& source, CoreFileSink& sink,
                                           const std::function<void(std::uint64_t)>& progress);
inline constexpr int kZstdWindowLogMax = 27;

/// The same of .gz, of one member or several. (libarchive looks neither at its checksum nor at its length.)
[[nodiscard]] Result<CoreFileEnd> ReadGzip(PackedSource& source, CoreFileSink& sink,
                                           const std::function<void(std::uint64_t)>& progress);

}  // namespace obit
