#include "store/core_reader.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <sys/stat.h>
#include <zstd.h>

#include "base/io.h"
#include "store/hole_marks.h"
#include "store/seek_table.h"

namespace obit {
namespace {

/// A data frame larger than this is not unpacked, bytes: other writers use up to some MiB.
constexpr std::size_t kDataFrameMax = 64 << 20;

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

CoreReader::CoreReader(Fd file) : file_(std::move(file)), context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {}

Result<CoreReader> CoreReader::Open(Fd file) {
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "look at the stored core");
  const SeekTable table =
      OBIT_TRY_IN(FindSeekTable(file, static_cast<std::uint64_t>(status.st_size)), "stored core");
  auto frames = OBIT_TRY_IN(ReadSeekTable(file, table), "stored core");
  auto holes = OBIT_TRY_IN(ReadHoleList(file, frames, table.begin), "stored core");
  return OpenFrames(std::move(file), std::move(frames), std::move(holes));
}

Result<CoreReader> CoreReader::OpenFrames(Fd file, std::vector<SeekEntry> frames,
                                          std::vector<std::uint64_t> holes) {
  CoreReader reader(std::move(file));
  if (!reader.context_) return Fail(ENOMEM, "stored core");
  reader.frames_ = std::move(frames);
  reader.holes_ = std::move(holes);
  Place place;
  while (place.index < reader.frames_.size()) {
    if (place.index % kStep == 0) reader.steps_.push_back(place);
    const Frame frame = reader.FrameAt(place);
    if (frame.plain > kCoreBytesMax - place.offset) return Refuse(EBADMSG, "stored core: it is too large");
    if (frame.kind == Kind::kHole) reader.omitted_ += frame.plain;
    place = After(frame);
  }
  reader.size_ = place.offset;
  return reader;
}

CoreReader::Frame CoreReader::FrameAt(const Place& place) const {
  const SeekEntry& entry = frames_[place.index];
  Frame frame{place, entry.plain, entry.stored};
  if (MayBeHoleMark(entry) && place.mark < holes_.size()) {
    frame.plain = holes_[place.mark];
    frame.kind = Kind::kHole;
  }
  return frame;
}

CoreReader::Place CoreReader::After(const Frame& frame) {
  // A mark is the one frame whose kind its place tells.
  return {frame.place.index + 1, frame.place.mark + (frame.kind == Kind::kHole ? 1 : 0),
          frame.place.file_offset + frame.stored, frame.place.offset + frame.plain};
}

/// The frame that has the byte at `offset`, which is before the end.
CoreReader::Frame CoreReader::Find(std::uint64_t offset) const {
  const auto after = std::ranges::upper_bound(steps_, offset, {}, &Place::offset);
  Frame frame = FrameAt(*(after - 1));                                               // the first begins at 0
  while (offset - frame.place.offset >= frame.plain) frame = FrameAt(After(frame));  // some are empty
  return frame;
}

Result<CoreReader::Kind> CoreReader::KindOf(const Frame& frame) {
  if (frame.kind != Kind::kUnknown) return frame.kind;
  if (looked_at_ == frame.place.index) return found_;
  Kind kind = Kind::kData;
  if (frame.plain > 0 && frame.plain <= kHoleFrameBytes && frame.stored == HoleFrameSize(frame.plain)) {
    std::vector<std::byte> bytes(frame.stored);
    OBIT_TRY_IN(ReadStored(file_, bytes, frame.place.file_offset), "stored core");
    if (IsHoleFrame(bytes, frame.plain)) kind = Kind::kHole;
  }
  looked_at_ = frame.place.index;
  found_ = kind;
  return kind;
}

Result<void> CoreReader::Unpack(const Frame& frame) {
  if (unpacked_offset_ == frame.place.offset) return {};
  unpacked_offset_ = UINT64_MAX;
  if (frame.plain > kDataFrameMax || frame.stored > ZSTD_compressBound(kDataFrameMax))
    return Refuse(EBADMSG, "stored core: frame of {} bytes at {}", frame.plain, frame.place.offset);
  stored_.resize(frame.stored);
  OBIT_TRY_IN(ReadStored(file_, stored_, frame.place.file_offset), "stored core");
  // Looked at before memory is taken for it: the table may claim anything.
  const auto content = ZSTD_getFrameContentSize(stored_.data(), stored_.size());
  if (content != frame.plain && content != ZSTD_CONTENTSIZE_UNKNOWN)
    return Refuse(EBADMSG, "stored core: frame at {} is not what the seek table says", frame.place.offset);
  plain_.resize(frame.plain);
  const std::size_t got =
      ZSTD_decompressDCtx(context_.get(), plain_.data(), plain_.size(), stored_.data(), stored_.size());
  if (ZSTD_isError(got) != 0)
    return Refuse(EBADMSG, "stored core: frame at {}: {}", frame.place.offset, ZSTD_getErrorName(got));
  if (got != frame.plain)
    return Refuse(EBADMSG, "stored core: frame at {} has {} bytes", frame.place.offset, got);
  unpacked_offset_ = frame.place.offset;
  return {};
}

Result<std::size_t> CoreReader::ReadAt(std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size() && offset < size_) {
    const Frame frame = Find(offset);
    const std::uint64_t inside = offset - frame.place.offset;
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - done, frame.plain - inside));
    if (OBIT_TRY(KindOf(frame)) == Kind::kHole) {
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
  for (Place place; place.index < frames_.size();) {
    const Frame frame = FrameAt(place);
    place = After(frame);
    if (frame.plain == 0) continue;
    if (OBIT_TRY(KindOf(frame)) == Kind::kHole) {
      OBIT_TRY(visit({frame.place.offset, frame.plain, {}}));
    } else {
      OBIT_TRY(Unpack(frame));
      OBIT_TRY(visit({frame.place.offset, frame.plain, plain_}));
    }
  }
  return {};
}

}  // namespace obit
