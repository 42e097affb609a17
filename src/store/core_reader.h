#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "store/seekable.h"

struct ZSTD_DCtx_s;

namespace obit {

/// Reads any bytes of a stored core (core.zst, or any file in the zstd seekable format) without unpacking the
/// rest. The file is untrusted: sizes are checked against it, checksums are verified. Holds one unpacked
/// frame. Not thread-safe.
class CoreReader {
 public:
  /// Takes the file over. EBADMSG: no or an odd seek table, or no hole list where there should be one.
  [[nodiscard]] static Result<CoreReader> Open(Fd file);
  /// The same of a file whose frames are known: `frames` from its beginning on, `holes` the lengths of the
  /// hole marks among them. EBADMSG: the core would be larger than a file can be.
  [[nodiscard]] static Result<CoreReader> OpenFrames(Fd file, std::vector<SeekEntry> frames,
                                                     std::vector<std::uint64_t> holes);

  /// The size of the plain core, bytes.
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Bytes of holes that are kept by their length alone: they are in size(), and not in what zstd unpacks.
  [[nodiscard]] std::uint64_t omitted() const { return omitted_; }

  /// Fills `out` from `offset` on; returns how much there was before the end of the core.
  [[nodiscard]] Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::byte> out);

  /// What Walk hands over, in order and without gaps: bytes, or a hole of `length` zeros (then `bytes` is
  /// empty).
  struct Piece {
    std::uint64_t offset = 0, length = 0;
    std::span<const std::byte> bytes;
    [[nodiscard]] bool hole() const { return bytes.empty(); }
  };
  /// Passes the whole core to `visit`, until it fails.
  [[nodiscard]] Result<void> Walk(const std::function<Result<void>(const Piece&)>& visit);

 private:
  enum class Kind : std::uint8_t { kUnknown, kData, kHole };
  /// Where a frame is. There may be 2^27 of them, so only each kStep-th is kept; from there on it is counted.
  struct Place {
    std::size_t index = 0, mark = 0;            // in frames_; of the next mark in holes_
    std::uint64_t file_offset = 0, offset = 0;  // in core.zst; in the plain core
  };
  static constexpr std::size_t kStep = 64;
  struct Frame {
    Place place;
    std::uint64_t plain = 0;
    std::uint32_t stored = 0;
    Kind kind = Kind::kUnknown;
  };

  explicit CoreReader(Fd file);
  [[nodiscard]] Frame FrameAt(const Place& place) const;
  [[nodiscard]] static Place After(const Frame& frame);
  [[nodiscard]] Frame Find(std::uint64_t offset) const;
  Result<Kind> KindOf(const Frame& frame);
  Result<void> Unpack(const Frame& frame);

  Fd file_;
  std::vector<SeekEntry> frames_;
  std::vector<std::uint64_t> holes_;  // the lengths of the marks among them; empty: there are none
  std::vector<Place> steps_;
  std::uint64_t size_ = 0, omitted_ = 0;
  std::size_t looked_at_ = SIZE_MAX;  // the frame of which it was last asked what it is
  Kind found_ = Kind::kUnknown;
  std::vector<std::byte> stored_, plain_;       // of the frame that was unpacked last
  std::uint64_t unpacked_offset_ = UINT64_MAX;  // of that frame in the plain core
  std::unique_ptr<ZSTD_DCtx_s, std::size_t (*)(ZSTD_DCtx_s*)> context_;
};

}  // namespace obit
