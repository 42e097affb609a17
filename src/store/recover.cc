#include "store/recover.h"

#include <algorithm>
#include <vector>

#include <sys/stat.h>
#include <zstd.h>

#include "base/io.h"
#include "store/hole_marks.h"

namespace obit {
namespace {

/// The bytes of a file from a place on, read in large steps: frames may be small, and many.
class Window {
 public:
  Window(const Fd& file, std::size_t bytes) : file_(file), buffer_(bytes) {}

  /// What the file has from `offset` on, up to `bytes` (which fit into the window).
  Result<std::span<const std::byte>> From(std::uint64_t offset, std::size_t bytes) {
    const bool inside = offset >= begin_ && offset - begin_ <= filled_;
    const bool ends = filled_ < buffer_.size();  // the file, in this window
    if (!inside || (!ends && filled_ - (offset - begin_) < bytes)) {
      begin_ = offset;
      filled_ = OBIT_TRY(ReadFullAt(file_, buffer_, offset));
    }
    return std::span<const std::byte>(buffer_).first(filled_).subspan(offset - begin_);
  }

 private:
  const Fd& file_;
  std::vector<std::byte> buffer_;
  std::uint64_t begin_ = UINT64_MAX;  // nothing was read
  std::size_t filled_ = 0;
};

/// The table that the file ends with, if it does.
std::vector<SeekEntry> OldTable(const Fd& file) {
  struct stat status{};
  std::vector<std::byte> bytes(kSeekFooterBytes);
  if (::fstat(file.get(), &status) < 0) return {};
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < bytes.size() || !ReadFullAt(file, bytes, size - bytes.size())) return {};
  const auto footer = DecodeSeekFooter(bytes);
  if (!footer || footer->table_bytes > size) return {};
  bytes.resize(footer->table_bytes);
  if (!ReadFullAt(file, bytes, size - bytes.size())) return {};
  return DecodeSeekTable(bytes, *footer).value_or(std::vector<SeekEntry>());
}

}  // namespace

Result<FoundFrames> FindFrames(const Fd& file) {
  // The largest frame that obit writes.
  const std::size_t largest = std::max(ZSTD_compressBound(kFrameBytes), HoleFrameSize(kHoleFrameBytes));
  Window window(file, 4 * largest);
  const std::vector<SeekEntry> old = OldTable(file);
  FoundFrames found;
  while (found.frames.size() < kFramesMax - 1) {
    const auto frame = OBIT_TRY(window.From(found.core.stored, largest));
    if (frame.empty()) break;
    if (const auto hole = ReadHoleMark(frame)) {
      if (*hole > kCoreBytesMax - found.core.plain) break;
      found.frames.push_back({kHoleMarkBytes, 0});
      found.holes.push_back(*hole);
      found.core.stored += kHoleMarkBytes;
      found.core.plain += *hole;
      found.core.omitted += *hole;
      continue;
    }
    const std::size_t stored = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
    const unsigned long long plain = ZSTD_getFrameContentSize(frame.data(), frame.size());
    // Another skippable frame (the table of a whole file) has no content; what is no frame gives a value
    // above the limit.
    if (ZSTD_isError(stored) != 0 || stored > largest || plain == 0 || plain > kHoleFrameBytes ||
        plain > kCoreBytesMax - found.core.plain)
      break;
    SeekEntry entry{static_cast<std::uint32_t>(stored), static_cast<std::uint32_t>(plain)};
    // Only the table knows of a hole that is shorter than its frame.
    if (found.frames.size() < old.size()) {
      const SeekEntry& said = old[found.frames.size()];
      if (said.stored == entry.stored && said.plain != entry.plain &&
          IsHoleFrame(frame.first(stored), said.plain))
        entry = said;
    }
    found.frames.push_back(entry);
    found.core.stored += entry.stored;
    found.core.plain += entry.plain;
  }
  return found;
}

Result<StoredCore> RecoverCore(const Fd& file) {
  FoundFrames found = OBIT_TRY(FindFrames(file));
  const auto end = OBIT_TRY(EncodeEnd(std::move(found.frames), found.holes));
  StoredCore core = found.core;
  if (::ftruncate(file.get(), static_cast<off_t>(core.stored)) < 0) return Fail(errno, "shorten core.zst");
  OBIT_TRY_IN(WriteAllAt(file, end, core.stored), "write the seek table of core.zst");
  core.stored += end.size();
  return core;
}

Result<void> CheckNotShifted(const CrashRecord::Capture& capture) {
  // A file that was imported may have anything behind its core.
  if (capture.method == CaptureMethod::kImport || !capture.promised_bytes) return {};
  if (capture.core_bytes <= *capture.promised_bytes) return {};
  return Refuse(EBADMSG,
                "its core cannot be read: {} bytes were stored of a core of {}. An older obit stored a hole "
                "too long, and what follows is shifted",
                capture.core_bytes, *capture.promised_bytes);
}

}  // namespace obit
