#pragma once

// The format of core.zst: zstd frames, then the public "zstd seekable format" table (contrib/seekable_format
// of zstd, a skippable frame), so that plain `zstd -dc` gives the core and a reader finds any byte.
// docs/store-format.md has it whole.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"

namespace obit {

/// Plain bytes in one data frame, at most. Small enough for a debugger's random reads, large enough to
/// compress well.
inline constexpr std::size_t kFrameBytes = 256 * 1024;
/// Plain bytes in one hole frame, at most: the largest frame of the reference reader.
inline constexpr std::uint64_t kHoleFrameBytes = 1ULL << 30;
/// Frames in one file, at most (ZSTD_SEEKABLE_MAXFRAMES). A core of 16 TiB has half of them if its frames are
/// full. Whoever reads such a file has 8 bytes in memory for each, 1 GiB in all.
inline constexpr std::size_t kFramesMax = 0x8000000;
/// No frame of any writer is shorter, bytes: a skippable one without content; one of zstd has 9.
inline constexpr std::size_t kFrameBytesMin = 8;

/// One frame as the seek table lists it, bytes.
struct SeekEntry {
  std::uint32_t stored = 0;
  std::uint32_t plain = 0;
};

/// Appends a zstd frame of `plain` zeros (1 to kHoleFrameBytes): run-length blocks of 128 KiB, 4 bytes each.
/// It differs from any frame of libzstd with a checksum, so a reader can tell a hole without unpacking it.
void AppendHoleFrame(std::vector<std::byte>& out, std::uint64_t plain);

/// How many bytes AppendHoleFrame(plain) appends.
[[nodiscard]] std::size_t HoleFrameSize(std::uint64_t plain);

/// True if `frame` stands for `plain` zeros: it is exactly what AppendHoleFrame(plain) makes. Older versions
/// wrote the frame of kHoleFrameBytes also for the end of a long hole that is less than 128 KiB shorter, and
/// only the seek table has its length: that one is true as well.
[[nodiscard]] bool IsHoleFrame(std::span<const std::byte> frame, std::uint64_t plain);

/// The seek table as a whole skippable frame.
[[nodiscard]] std::vector<std::byte> EncodeSeekTable(std::span<const SeekEntry> entries);

/// The table's last 9 bytes say how long it is.
inline constexpr std::size_t kSeekFooterBytes = 9;
struct SeekFooter {
  std::size_t frames = 0;
  std::size_t table_bytes = 0;  ///< of the whole skippable frame
  std::size_t entry_bytes = 8;  ///< 12 where each entry has a checksum (not written by obit)
};
/// EBADMSG: no seek table ends here, or it claims more than kFramesMax.
[[nodiscard]] Result<SeekFooter> DecodeSeekFooter(std::span<const std::byte> footer);

/// And its first 8 that it is one.
inline constexpr std::size_t kSeekHeaderBytes = 8;
[[nodiscard]] bool IsSeekHeader(std::span<const std::byte> header, const SeekFooter& footer);

/// The entry that `bytes` begin with. Nothing: they are too few.
[[nodiscard]] std::optional<SeekEntry> DecodeSeekEntry(std::span<const std::byte> bytes);

}  // namespace obit
