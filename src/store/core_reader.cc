#include "store/core_reader.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <sys/stat.h>
#include <zstd.h>

#include "base/io.h"
#include "store/hole_marks.h"
#include "store/seekable.h"

namespace obit {
namespace {

/// A data frame larger than this is not unpacked, bytes: other writers use up to some MiB.
constexpr std::size_t kDataFrameMax = 64 << 20;

/// Reads all of `out`; the file had these bytes when it was opened.
Result<void> ReadStored(const Fd& file, std::span<std::byte> out, std::uint64_t offset) {
  const std::size_t got = OBIT_TRY_IN(ReadFullAt(file, out, offset), "stored core");
  if (got < out.size()) return Refuse(EBADMSG, "stored core: it has been shortened");
  return {};
}

/// The lengths of all holes that are marks, from the list before the seek table: the last frame, which ends
/// at `end`. One read, however many marks there are.
Result<std::vector<std::uint64_t>> ReadHoleList(const Fd& file, std::span<const SeekEntry> entries,
                                                std::uint64_t end) {
  const auto marks = static_cast<std::size_t>(std::ranges::count_if(entries, MayBeHoleMark));
  if (marks == 0) return {};
  const SeekEntry& last = entries.back();
  if (last.plain == 0 && last.stored > kHoleMarkBytes && last.stored <= HoleListBytesMax(marks)) {
    std::vector<std::byte> list(last.stored);
    OBIT_TRY(ReadStored(file, list, end - list.size()));
    if (auto holes = OBIT_TRY(DecodeHoleList(list, marks))) return std::move(*holes);
  }
  // Frames of that size that are somebody else's say nothing. One look is enough: a file has marks or theirs.
  std::uint64_t offset = 0;
  for (const SeekEntry* entry = entries.data(); !MayBeHoleMark(*entry); ++entry) offset += entry->stored;
  std::array<std::byte, kHoleMarkBytes> first{};
  OBIT_TRY(ReadStored(file, first, offset));
  if (ReadHoleMark(first)) return Refuse(EBADMSG, "its hole list is missing");
  return {};
}

}  // namespace

CoreReader::CoreReader(Fd file, std::vector<Frame> frames, std::uint64_t size)
    : file_(std::move(file)),
      frames_(std::move(frames)),
      size_(size),
      context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {}

Result<CoreReader> CoreReader::Open(Fd file) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the stored core");
  const auto file_size = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::byte> footer(kSeekFooterBytes);
  if (file_size < footer.size()) return Refuse(EBADMSG, "stored core is too short to have a seek table");
  OBIT_TRY(ReadStored(file, footer, file_size - footer.size()));
  const SeekFooter known = OBIT_TRY_IN(DecodeSeekFooter(footer), "stored core");
  if (known.table_bytes > file_size)
    return Refuse(EBADMSG, "stored core: its seek table is larger than the file");
  std::vector<std::byte> table(known.table_bytes);
  OBIT_TRY(ReadStored(file, table, file_size - table.size()));
  const auto entries = OBIT_TRY_IN(DecodeSeekTable(table, known), "stored core");

  std::uint64_t stored = 0;  // cannot overflow: at most 2^27 entries of 2^32
  for (const SeekEntry& entry : entries) stored += entry.stored;
  if (stored != file_size - table.size())
    return Refuse(EBADMSG, "stored core: its seek table is of another file");
  const auto holes = OBIT_TRY_IN(ReadHoleList(file, entries, stored), "stored core");
  return OpenFrames(std::move(file), entries, holes);
}

Result<CoreReader> CoreReader::OpenFrames(Fd file, std::span<const SeekEntry> entries,
                                          std::span<const std::uint64_t> holes) {
  std::vector<Frame> frames;
  frames.reserve(entries.size());
  std::uint64_t file_offset = 0, offset = 0, omitted = 0;
  for (const SeekEntry& entry : entries) {
    Frame frame{file_offset, offset, entry.plain, entry.stored};
    if (MayBeHoleMark(entry) && !holes.empty()) {
      frame.plain = holes.front();
      frame.kind = Frame::Kind::kHole;
      omitted += frame.plain;  // checked with the sum below
      holes = holes.subspan(1);
    }
    if (frame.plain > kCoreBytesMax - offset) return Refuse(EBADMSG, "stored core: it is too large");
    frames.push_back(frame);
    file_offset += frame.stored;
    offset += frame.plain;
  }
  CoreReader reader(std::move(file), std::move(frames), offset);
  reader.omitted_ = omitted;
  return reader;
}

Result<CoreReader::Frame::Kind> CoreReader::KindOf(Frame& frame) {
  if (frame.kind != Frame::Kind::kUnknown) return frame.kind;
  frame.kind = Frame::Kind::kData;
  if (frame.plain > 0 && frame.plain <= kHoleFrameBytes && frame.stored == HoleFrameSize(frame.plain)) {
    std::vector<std::byte> bytes(frame.stored);
    OBIT_TRY(ReadStored(file_, bytes, frame.file_offset));
    if (IsHoleFrame(bytes, frame.plain)) frame.kind = Frame::Kind::kHole;
  }
  return frame.kind;
}

Result<void> CoreReader::Unpack(const Frame& frame) {
  if (unpacked_offset_ == frame.offset) return {};
  unpacked_offset_ = UINT64_MAX;
  if (frame.plain > kDataFrameMax || frame.stored > ZSTD_compressBound(kDataFrameMax))
    return Refuse(EBADMSG, "stored core: frame of {} bytes at {}", frame.plain, frame.offset);
  stored_.resize(frame.stored);
  OBIT_TRY(ReadStored(file_, stored_, frame.file_offset));
  // Looked at before memory is taken for it: the table may claim anything.
  const auto content = ZSTD_getFrameContentSize(stored_.data(), stored_.size());
  if (content != frame.plain && content != ZSTD_CONTENTSIZE_UNKNOWN)
    return Refuse(EBADMSG, "stored core: frame at {} is not what the seek table says", frame.offset);
  plain_.resize(frame.plain);
  const std::size_t got =
      ZSTD_decompressDCtx(context_.get(), plain_.data(), plain_.size(), stored_.data(), stored_.size());
  if (ZSTD_isError(got) != 0)
    return Refuse(EBADMSG, "stored core: frame at {}: {}", frame.offset, ZSTD_getErrorName(got));
  if (got != frame.plain) return Refuse(EBADMSG, "stored core: frame at {} has {} bytes", frame.offset, got);
  unpacked_offset_ = frame.offset;
  return {};
}

Result<std::size_t> CoreReader::ReadAt(std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size() && offset < size_) {
    const auto after =
        std::ranges::upper_bound(frames_, offset, {}, [](const Frame& frame) { return frame.offset; });
    Frame& frame =
        *(after - 1);  // the first begins at 0; of frames at one offset the last, which is not empty
    const std::uint64_t inside = offset - frame.offset;
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - done, frame.plain - inside));
    if (OBIT_TRY(KindOf(frame)) == Frame::Kind::kHole) {
      std::memset(out.data() + done, 0, n);
    } else {
      OBIT_TRY(Unpack(frame));
      std::memcpy(out.data() + done, plain_.data() + inside, n);
    }
    done += n;
    offset += n;
  }
  return done;
}

Result<void> CoreReader::Walk(const std::function<Result<void>(const Piece&)>& visit) {
  for (Frame& frame : frames_) {
    if (frame.plain == 0) continue;
    if (OBIT_TRY(KindOf(frame)) == Frame::Kind::kHole) {
      OBIT_TRY(visit({frame.offset, frame.plain, {}}));
    } else {
      OBIT_TRY(Unpack(frame));
      OBIT_TRY(visit({frame.offset, frame.plain, plain_}));
    }
  }
  return {};
}

}  // namespace obit
