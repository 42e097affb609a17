#pragma once

// Holes that are kept by their length alone. A hole as zstd frames costs 4 bytes for each 128 KiB, which is
// 32 MiB a TiB, and sanitizers map 20 TiB. So a core whose holes are more than kPlainHolesMax has them as
// marks: skippable frames, which zstd leaves out. Each mark says how long its hole is, for a file that ends
// early; the hole list says it of all, so that a reader need not look at each mark. docs/store-format.md has
// both.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "store/seekable.h"

namespace obit {

/// Holes of one core that are kept as zstd frames, at most, bytes: up to there `zstd -dc` gives the plain
/// core. They cost 8 MiB.
inline constexpr std::uint64_t kPlainHolesMax = 256ULL << 30;
/// A plain core is no longer than a file can be, bytes.
inline constexpr std::uint64_t kCoreBytesMax = INT64_MAX;

inline constexpr std::size_t kHoleMarkBytes = 24;
/// Appends the mark of a hole of `length` zeros (1 to kCoreBytesMax).
void AppendHoleMark(std::vector<std::byte>& out, std::uint64_t length);
/// The length of the hole, if `bytes` begin with a mark.
[[nodiscard]] std::optional<std::uint64_t> ReadHoleMark(std::span<const std::byte> bytes);

/// What follows the last frame of a core: the hole list, if there are marks, and the seek table of it all.
/// `frames` has an entry for each frame, `holes` a length for each mark in it. ENOMEM: zstd failed.
[[nodiscard]] Result<std::vector<std::byte>> EncodeEnd(std::vector<SeekEntry> frames,
                                                       std::span<const std::uint64_t> holes);
/// How long that is at most, bytes.
[[nodiscard]] std::size_t EndBytesMax(std::size_t frames, std::size_t holes);

/// Left free for the record where a full disk cuts a core short, bytes.
inline constexpr std::uint64_t kSpareBytes = 128 * 1024;
/// How often a core is cut shorter at most, since others who fill the disk may take what a cut frees. Then
/// its frames stay as they are, without a table: else those others would get the room of all of them.
inline constexpr int kCutsMax = 8;

/// True for the entry of a mark. (Others may write such an entry, too.)
[[nodiscard]] inline bool MayBeHoleMark(const SeekEntry& entry) {
  return entry.stored == kHoleMarkBytes && entry.plain == 0;
}
/// The lengths that the hole list says, if `frame`, whole, is one. EBADMSG: it is a broken one, or not of
/// `marks` marks. ENOMEM: there is no memory to unpack it.
[[nodiscard]] Result<std::optional<std::vector<std::uint64_t>>> DecodeHoleList(
    std::span<const std::byte> frame, std::size_t marks);
/// The longest frame that may be the list of so many marks, bytes.
[[nodiscard]] std::size_t HoleListBytesMax(std::size_t marks);

}  // namespace obit
