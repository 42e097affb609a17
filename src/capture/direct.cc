#include "capture/direct.h"

#include <algorithm>

namespace obit {
namespace {

/// Addresses that are planned at a time: bounds the memory of a plan.
constexpr std::uint64_t kWindow = 1ULL << 30;

}  // namespace

DirectCapture::DirectCapture(const ProcessMemory& memory, const CoreHead& head, CoreStream& stream,
                             CoreWriter& writer, std::atomic<std::uint64_t>& progress)
    : memory_(memory), head_(head), stream_(stream), writer_(writer), progress_(progress) {}

Result<void> DirectCapture::Plan() {
  std::vector<Mapping> mappings = OBIT_TRY(ReadMappings(memory_.maps));
  segments_ = OBIT_TRY(PlanSegments(head_, mappings));
  if (!MayWaitForUserFaults(segments_, mappings)) return {};
  mappings = OBIT_TRY(ReadMappings(memory_.smaps));  // slow: it walks the page tables
  segments_ = OBIT_TRY(PlanSegments(head_, mappings));
  return {};
}

Result<void> DirectCapture::Run() {
  at_ = stream_.position();
  std::size_t next = 0;
  for (;;) {
    auto captured = CaptureSegments(next);
    if (captured) captured = writer_.WaitFetched();
    if (captured) break;
    // Whether it was the writing, the time, or the process that ended, there is no way on.
    const int code = captured.error().code;
    if (writer_.failure() || code == ESRCH || code == ETIMEDOUT || code == EPIPE) return captured;
    at_ = writer_.ResumeAfterFetch();
    const auto failed = std::ranges::find_if(
        segments_, [&](const PlannedSegment& segment) { return at_ < segment.offset + segment.bytes; });
    if (failed == segments_.end()) return captured;
    OBIT_TRY(CopyFromStream(*failed, captured.error().what));
    next = static_cast<std::size_t>(failed - segments_.begin()) + 1;
  }
  OBIT_TRY(CaptureEnd());
  if (stream_.position() == at_) return {};  // the kernel has sent all of it
  // After SIGKILL the memory stays for a moment, but may be taken from it already (oom_reaper).
  if (!HasMemory(memory_.mem, 0) || stream_.HungUp())
    return Refuse(ESRCH, "the process was killed while its memory was read");
  return {};
}

Result<void> DirectCapture::CaptureSegments(std::size_t first) {
  for (const PlannedSegment& segment : std::span(segments_).subspan(first)) {
    if (segment.offset + segment.bytes <= at_) continue;  // it came along with the head
    OBIT_TRY(SkipTo(segment.offset));
    OBIT_TRY(CaptureSegment(segment));
  }
  return {};
}

Result<void> DirectCapture::CaptureSegment(const PlannedSegment& segment) {
  if (segment.source == SegmentSource::kStream)
    return CopyFromStream(segment,
                          segment.name.empty() ? "it is no mapping" : segment.name + " may have to wait");
  const std::uint64_t end = segment.address + segment.bytes;
  for (std::uint64_t at = segment.address + (at_ - segment.offset); at < end;) {
    const std::uint64_t window = std::min(end, at + kWindow);
    switch (segment.source) {
      case SegmentSource::kPresentPages: {
        // Scanned by whole pages; the head may have ended within one.
        const std::uint64_t page = PageBytes();
        const PageScan scan =
            OBIT_TRY(ScanPages(memory_.pagemap, at / page * page, (window + page - 1) / page * page));
        // Of memory that is gone nothing is present: then what the scan said is worth nothing.
        if (!HasMemory(memory_.mem, at)) return Refuse(ESRCH, "the process is gone");
        const std::uint64_t scanned = std::min(window, scan.end);
        std::vector<MemoryRun> runs;
        for (const MemoryRun& run : scan.runs)
          if (const MemoryRun cut{std::max(run.begin, at), std::min(run.end, scanned)}; cut.begin < cut.end)
            runs.push_back(cut);
        for (PlannedChunk& chunk : PlanChunks(runs)) OBIT_TRY(CaptureChunk(segment, std::move(chunk)));
        at = scanned;
        break;
      }
      case SegmentSource::kAllPages: {
        const MemoryRun all{at, window};
        for (PlannedChunk& chunk : PlanChunks(std::span(&all, 1)))
          OBIT_TRY(CaptureChunk(segment, std::move(chunk)));
        at = window;
        break;
      }
      case SegmentSource::kStream:
      case SegmentSource::kNone:
        CountUnread(segment, end - at);
        at = end;
        break;
    }
    OBIT_TRY(SkipTo(segment.offset + (at - segment.address)));
  }
  return {};
}

Result<void> DirectCapture::CaptureChunk(const PlannedSegment& segment, PlannedChunk chunk) {
  OBIT_TRY(stream_.CheckDeadline());
  OBIT_TRY(SkipTo(segment.offset + (chunk.address - segment.address)));
  const std::uint64_t bytes = chunk.bytes;
  OBIT_TRY(writer_.Defer(
      bytes, [this, &segment, chunk = std::move(chunk)](std::span<std::byte> room) -> Result<void> {
        std::uint64_t filled = chunk.address;
        for (const MemoryRun& run : chunk.runs) {
          std::ranges::fill(room.subspan(filled - chunk.address, run.begin - filled), std::byte{0});
          filled = run.end;
          const auto part = room.subspan(run.begin - chunk.address, run.end - run.begin);
          const std::size_t unread = OBIT_TRY(ReadProcessMemory(memory_.mem, run.begin, part));
          // Of anonymous memory these are guard pages and the like, which the kernel leaves out as well.
          if (unread > 0 && segment.source == SegmentSource::kAllPages) CountUnread(segment, unread);
        }
        progress_.fetch_add(room.size(), std::memory_order_relaxed);
        return {};
      }));
  at_ += bytes;
  return {};
}

/// From the place where the capture is to the end of `segment`.
Result<void> DirectCapture::CopyFromStream(const PlannedSegment& segment, const std::string& why) {
  OBIT_TRY(writer_.WaitFetched());  // once the stream has passed a place there is no way back
  if (stream_reason_.empty())
    stream_reason_ = fmt::format("memory at {:#x}, {} bytes: {}", segment.address, segment.bytes, why);
  OBIT_TRY(stream_.Discard(at_));
  OBIT_TRY(stream_.Copy(segment.offset + segment.bytes, writer_));
  at_ = segment.offset + segment.bytes;
  return {};
}

/// What follows the last segment.
Result<void> DirectCapture::CaptureEnd() {
  const auto trailer = head_.trailer();
  const std::uint64_t end = head_.core_bytes().value_or(at_);
  if (at_ >= end) return {};
  if (trailer.size() > end - at_) return stream_.Copy(end, writer_);  // it came along in part
  OBIT_TRY(SkipTo(end - trailer.size()));
  at_ = end;
  return writer_.Append(trailer);
}

/// Everything before `offset` that is not captured is a hole.
Result<void> DirectCapture::SkipTo(std::uint64_t offset) {
  if (offset <= at_) return {};
  OBIT_TRY(writer_.Skip(offset - at_));
  progress_.fetch_add(offset - at_, std::memory_order_relaxed);
  at_ = offset;
  return {};
}

void DirectCapture::CountUnread(const PlannedSegment& segment, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  unread_[&segment] += bytes;
}

void DirectCapture::Describe(CrashRecord::Capture& capture) const {
  capture.stream_reason = stream_reason_;
  for (const auto& [segment, bytes] : unread_) {
    capture.unread_bytes += bytes;
    if (capture.unread.size() < CrashRecord::Capture::kUnreadMax)
      capture.unread.push_back({segment->address, bytes, segment->name});
  }
}

}  // namespace obit
