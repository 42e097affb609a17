#include "store/recover.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <sys/stat.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/io.h"
#include "base/try_twice.h"
#include "store/hole_marks.h"
#include "store/seek_table.h"

namespace obit {
namespace {

/// The bytes of a file from a place on, read in large steps: frames may be small, and many.
class Window {
 public:
  Window(const Fd& file, std::size_t bytes, std::atomic<std::uint64_t>* progress)
      : file_(file), buffer_(bytes), progress_(progress) {}

  /// What the file has from `offset` on, up to `bytes` (which fit into the window).
  Result<std::span<const std::byte>> From(std::uint64_t offset, std::size_t bytes) {
    const bool inside = offset >= begin_ && offset - begin_ <= filled_;
    const bool ends = filled_ < buffer_.size();  // the file, in this window
    if (!inside || (!ends && filled_ - (offset - begin_) < bytes)) {
      begin_ = offset;
      filled_ = OBIT_TRY(Fill(offset));
      if (progress_ != nullptr) *progress_ += filled_;
    }
    return std::span<const std::byte>(buffer_).first(filled_).subspan(offset - begin_);
  }

  /// Why the disk did not give what is behind the last window.
  [[nodiscard]] const std::optional<Error>& unreadable() const { return unreadable_; }

 private:
  /// One bad sector takes no more than itself: what is before it is read in small steps.
  Result<std::size_t> Fill(std::uint64_t offset) {
    auto filled = ReadFullAt(file_, buffer_, offset);
    if (filled || filled.error().code != EIO) return filled;
    constexpr std::size_t kSector = 4096;
    std::size_t got = 0;
    while (got < buffer_.size()) {
      const std::size_t step = std::min(kSector - (offset + got) % kSector, buffer_.size() - got);
      const auto read = ReadFullAt(file_, std::span(buffer_).subspan(got, step), offset + got);
      if (!read && read.error().code != EIO) return read;
      if (!read) unreadable_ = read.error();
      got += read.value_or(0);
      if (read.value_or(0) < step) break;
    }
    return got;
  }

  const Fd& file_;
  std::vector<std::byte> buffer_;
  std::atomic<std::uint64_t>* progress_;
  std::optional<Error> unreadable_;
  std::uint64_t begin_ = UINT64_MAX;  // nothing was read
  std::size_t filled_ = 0;
};

/// The last bytes are those of a seek table, whatever is before them.
Result<bool> EndsWithTable(const Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the stored core");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::byte> bytes(kSeekFooterBytes);
  if (size < bytes.size()) return false;
  const std::size_t got = OBIT_TRY_IN(ReadFullAt(file, bytes, size - bytes.size()), "stored core");
  return got == bytes.size() && DecodeSeekFooter(bytes).has_value();
}

/// The table that the file ends with, if it does.
std::vector<SeekEntry> OldTable(const Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return {};
  const auto table = FindSeekTable(file, static_cast<std::uint64_t>(status.st_size));
  return table ? ReadSeekTable(file, *table).value_or(std::vector<SeekEntry>()) : std::vector<SeekEntry>();
}

/// The file ends with these bytes, at `offset`.
bool EndsWith(const Fd& file, std::span<const std::byte> end, std::uint64_t offset) {
  std::vector<std::byte> there(end.size() + 1);
  const auto got = ReadFullAt(file, there, offset);
  return got && *got == end.size() && std::ranges::equal(end, std::span(there).first(*got));
}

/// Looks at the content of frames that obit writes.
class ContentCheck {
 public:
  static Result<ContentCheck> Make() {
    ContentCheck check;
    if (!check.context_) return Fail(ENOMEM, "unpack the stored core");
    return check;
  }

  /// It unpacks to so many bytes, and to those that were packed, by its checksum. Without memory for it that
  /// is not known (ENOMEM): nothing may be cut then.
  Result<bool> IsSound(std::span<const std::byte> frame, std::uint32_t plain) {
    if (IsHoleFrame(frame, plain)) return true;
    if (plain > unpacked_.size()) return false;
    const std::size_t got =
        ZSTD_decompressDCtx(context_.get(), unpacked_.data(), unpacked_.size(), frame.data(), frame.size());
    if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation) return Fail(ENOMEM, "unpack the stored core");
    return got == plain;
  }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_{ZSTD_createDCtx(), &ZSTD_freeDCtx};
  std::vector<std::byte> unpacked_ = std::vector<std::byte>(kFrameBytes);
};

/// There are frames behind those, by the table of the file.
bool LeadsFurther(std::span<const SeekEntry> table, const CoreFrames& found) {
  if (table.size() <= found.frames.size()) return false;
  return std::ranges::any_of(table.subspan(found.frames.size()),
                             [](const SeekEntry& entry) { return entry.plain > 0 || MayBeHoleMark(entry); });
}

/// A file whose writer had come to its end, but for a frame behind `found`.
Result<RecoveredCore> KeepDamaged(const Fd& file, const CoreFrames& found) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the stored core");
  const CoreReader whole = OBIT_TRY(CoreReader::Open(OBIT_TRY(Duplicate(file))));
  RecoveredCore kept;
  kept.plain = whole.size();
  kept.stored = static_cast<std::uint64_t>(status.st_size);
  kept.omitted = whole.omitted();
  kept.damaged = Refuse(EBADMSG, "it is damaged behind its first {} bytes", found.core.plain).error();
  return kept;
}

/// Ends the file behind these frames, with their table.
Result<StoredCore> End(const Fd& file, const CoreFrames& found) {
  const std::vector<std::byte> end = OBIT_TRY(EncodeEnd(found.frames, found.holes));
  StoredCore core = found.core;
  const auto shortened = TryTwice([&]() -> Result<void> {
    if (::ftruncate(file.get(), static_cast<off_t>(core.stored)) == 0) return {};
    return Fail(errno, "shorten core.zst");
  });
  if (!shortened) return std::unexpected(shortened.error());
  OBIT_TRY_IN(TryTwice([&] { return WriteAllAt(file, end, core.stored); }),
              "write the seek table of core.zst");
  core.stored += end.size();
  return core;
}

}  // namespace

Result<FoundFrames> FindFrames(const Fd& file, FrameCheck check, std::atomic<std::uint64_t>* progress) {
  // The largest frame that obit writes.
  const std::size_t largest = std::max(ZSTD_compressBound(kFrameBytes), HoleFrameSize(kHoleFrameBytes));
  Window window(file, 4 * largest, progress);
  const std::vector<SeekEntry> old = OldTable(file);
  std::optional<ContentCheck> content;
  if (check == FrameCheck::kContent) content = OBIT_TRY(ContentCheck::Make());
  FoundFrames found;
  while (found.frames.size() < kFramesMax - 1) {
    const auto frame = OBIT_TRY(window.From(found.core.stored, largest));
    if (frame.empty()) break;
    if (const auto hole = ReadHoleMark(frame)) {
      if (*hole > kCoreBytesMax - found.core.plain) break;
      found.AddMark(*hole);
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
    if (content && !OBIT_TRY(content->IsSound(frame.first(stored), entry.plain))) break;
    found.Add(entry);
  }
  if (window.unreadable() && found.frames.empty()) return std::unexpected(*window.unreadable());
  if (const auto& why = window.unreadable())
    found.unreadable =
        Error{why->code, fmt::format("the disk does not give what is behind its first {} bytes: {}",
                                     found.core.plain, why->what)};
  return found;
}

Result<RecoveredCore> RecoverCore(const Fd& file, FrameCheck check, std::atomic<std::uint64_t>* progress) {
  FoundFrames found = OBIT_TRY(FindFrames(file, check, progress));
  if (found.unreadable) {
    const auto whole = IsWholeCore(file);
    if (!whole && whole.error().code != EIO) return std::unexpected(whole.error());
    if (whole && *whole) return std::unexpected(*found.unreadable);
    struct stat status{};
    if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the stored core");
    RecoveredCore kept{
        found.core, std::move(found.unreadable), {}};  // the disk may give the rest another time
    kept.stored = static_cast<std::uint64_t>(status.st_size);
    kept.has_table = false;
    return kept;
  }
  const std::vector<std::byte> end = OBIT_TRY(EncodeEnd(found.frames, found.holes));
  if (EndsWith(file, end, found.core.stored)) {  // it is whole: on a full disk its end might not fit again
    found.core.stored += end.size();
    return RecoveredCore{found.core, {}, {}};
  }
  if (LeadsFurther(OldTable(file), found)) {
    auto kept = KeepDamaged(file, found);
    if (kept || kept.error().code != EBADMSG) return kept;
  }
  auto written = End(file, found);
  // The table may be all that has no room. A core that is smaller than a record gives up only what the table
  // needs: the room for records is for the server to find.
  for (int cuts = 0; cuts < kCutsMax && !written && LacksRoom(written.error()); ++cuts) {
    CoreFrames cut = found;
    cut.CutBack(kSpareBytes);
    if (cut.frames.empty()) {
      cut = found;
      cut.CutBack(0);
    }
    if (cut.frames.empty()) break;
    static_cast<CoreFrames&>(found) = std::move(cut);
    written = End(file, found);
  }
  if (written) return RecoveredCore{*written, {}, {}};
  (void)::ftruncate(file.get(), static_cast<off_t>(found.core.stored));  // without the half of a table
  found.core.has_table = false;
  return RecoveredCore{found.core, {}, {}};
}

Result<bool> IsWholeCore(const Fd& file) { return OBIT_TRY(SizesOfWholeCore(file)).has_value(); }

Result<OpenedCore> OpenStoredCore(Fd file) {
  const auto by_table = [&]() -> Result<CoreReader> {
    if (!OBIT_TRY(EndsWithTable(file))) return Refuse(ENODATA, "it has no seek table");
    return CoreReader::Open(OBIT_TRY(Duplicate(file)));
  };
  auto reader = by_table();
  if (reader) return OpenedCore{std::move(*reader)};
  // What the disk does not give may be the table alone.
  const bool unread = reader.error().code == EIO;
  if (!unread && reader.error().code != ENODATA) return std::unexpected(std::move(reader).error());
  auto found = OBIT_TRY(FindFrames(file));
  if (found.frames.empty()) {
    if (unread) return std::unexpected(std::move(reader).error());
    return OpenedCore{OBIT_TRY(CoreReader::Open(std::move(file)))};  // which says what is wrong
  }
  if (unread && !found.unreadable) found.unreadable = std::move(reader).error();  // it gives it now
  auto by_frames =
      OBIT_TRY(CoreReader::OpenFrames(std::move(file), std::move(found.frames), std::move(found.holes)));
  return OpenedCore{std::move(by_frames), /*has_table=*/false, std::move(found.unreadable)};
}

Result<std::optional<StoredCore>> SizesOfWholeCore(const Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at core.zst");
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  const auto sizes = [&]() -> Result<StoredCore> {
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const SeekTable table = OBIT_TRY(FindSeekTable(file, size));
    const SeekTableSums sums = OBIT_TRY(SumSeekTable(file, table));
    if (table.footer.frames == 0) return Refuse(EBADMSG, "it has no frame");
    return StoredCore{.plain = sums.may_have_marks ? 0 : sums.plain, .stored = size};
  }();
  if (sizes) return *sizes;
  if (sizes.error().code == EBADMSG) return std::nullopt;
  return std::unexpected(sizes.error());
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
