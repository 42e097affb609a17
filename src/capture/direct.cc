#include "capture/direct.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "store/hole_marks.h"

namespace obit {
namespace {

/// Addresses that are scanned at a time, at most. One call stops early where there are many pages, and over
/// nothing it takes as long as over little: with windows of 1 GiB 20 TiB take a second, with these 2 ms.
constexpr std::uint64_t kWindow = 64ULL << 30;
/// How often it is looked whether others want the memory, ns.
constexpr std::int64_t kWatchEvery = 50'000'000;

}  // namespace

DirectCapture::DirectCapture(const ProcessMemory& memory, const CoreHead& head, CoreStream& stream,
                             CoreWriter& writer, std::atomic<std::uint64_t>& progress, std::uint64_t max)
    : memory_(memory),
      head_(head),
      stream_(stream),
      writer_(writer),
      progress_(progress),
      max_(max),
      planner_([this](PlannedChunk chunk) { return CaptureChunk(std::move(chunk)); }) {}

Result<void> DirectCapture::Plan(const MemoryTies* ties, pid_t pid) {
  std::vector<Mapping> mappings = OBIT_TRY(PlanBy(memory_.maps));
  if (ties != nullptr) ties_ = FindMappingTies(mappings, *ties, MemoryDevice(), pid);
  if (MayWaitForUserFaults(segments_, mappings))
    (void)OBIT_TRY(PlanBy(memory_.smaps));  // slow: it walks the page tables
  return {};
}

/// By what this file, maps or smaps, says of the mappings, which it returns.
Result<std::vector<Mapping>> DirectCapture::PlanBy(const Fd& file) {
  std::vector<Mapping> mappings = OBIT_TRY(ReadMappings(file));
  segments_ = OBIT_TRY(PlanSegments(head_, mappings));
  CutSegments();
  return mappings;
}

/// Drops what lies behind the end that is wanted.
void DirectCapture::CutSegments() {
  std::erase_if(segments_, [&](const PlannedSegment& segment) { return segment.offset >= max_; });
  for (PlannedSegment& segment : segments_) segment.bytes = std::min(segment.bytes, max_ - segment.offset);
}

/// What is found at once need not be scanned on; over nothing the windows grow.
Result<bool> DirectCapture::HasMemoryOf(std::uint64_t least) const {
  std::uint64_t found = 0;
  for (const PlannedSegment& segment : segments_) {
    if (segment.source == SegmentSource::kAllPages) found += segment.bytes;
    const bool is_scanned = segment.source == SegmentSource::kPresentPages;
    const std::uint64_t end = segment.address + (is_scanned ? segment.bytes : 0);
    std::uint64_t window = std::min(least, kWindow);
    for (std::uint64_t at = segment.address; at < end && found < least;) {
      OBIT_TRY(stream_.CheckDeadline());
      const PageScan scan = OBIT_TRY(ScanSegment(at, at + std::min(end - at, window)));
      for (const MemoryRun& run : scan.runs) found += run.end - run.begin;
      if (scan.runs.empty()) window = std::min(2 * window, kWindow);
      at = scan.end;
    }
    if (found >= least) return true;
  }
  return false;
}

void DirectCapture::GoOnAlone(const Alone& alone) {
  alone_.emplace(alone);
  at_ = alone.from;
}

/// While it is held on to, reads say nothing of that: the oom_reaper takes the pages of a process that was
/// killed, whoever uses its memory (mm/oom_kill.c), and process_mrelease(2) does.
Result<void> DirectCapture::CheckStillKept() const {
  const std::uint64_t page = alone_->page / PageBytes() * PageBytes();
  const auto scan = ScanPages(memory_.pagemap, PageKind::kFilled, page, page + PageBytes());
  if (scan && !scan->runs.empty()) return {};
  return Refuse(ESRCH, "its memory was taken while it was read");
}

Result<void> DirectCapture::CheckTime() {
  if (!alone_) return stream_.CheckDeadline();
  const std::int64_t now = MonotonicNow();
  if (now >= alone_->deadline) return Refuse(ETIMEDOUT, "its memory was kept long enough, and was let go");
  if (now < watched_ + kWatchEvery) return {};
  watched_ = now;
  if (alone_->watch.IsShort(now)) return Refuse(ENOMEM, "others wanted memory: what was kept was let go");
  return {};
}

/// Nobody reads it any more then: what it is read with may go.
Result<void> DirectCapture::Run() {
  auto done = RunOn();
  if (!done && alone_) (void)writer_.WaitFetched();
  return done;
}

Result<void> DirectCapture::RunOn() {
  if (!alone_) at_ = stream_.position();
  if (OBIT_TRY(HasManyHoles())) writer_.KeepHolesByLength();
  std::size_t next = 0;
  for (;;) {
    auto captured = CaptureSegments(next);
    if (captured) captured = writer_.WaitFetched();
    if (captured) break;
    // Whether it was the writing, the time, or the process that ended, there is no way on.
    const int code = captured.error().code;
    if (alone_ || writer_.failure() || code == ESRCH || code == ETIMEDOUT || code == EPIPE) return captured;
    planner_.Clear();
    at_ = writer_.ResumeAfterFetch();
    const auto failed = std::ranges::find_if(
        segments_, [&](const PlannedSegment& segment) { return at_ < segment.offset + segment.bytes; });
    if (failed == segments_.end()) return captured;
    OBIT_TRY(CopyFromStream(*failed, captured.error().what));
    next = static_cast<std::size_t>(failed - segments_.begin()) + 1;
  }
  OBIT_TRY(CaptureEnd());
  if (alone_) return CheckStillKept();
  if (stream_.position() == at_) return {};  // the kernel has sent all of it
  // After SIGKILL the memory stays for a moment, but may be taken from it already (oom_reaper).
  if (!HasMemory(memory_.mem, 0) || stream_.HungUp())
    return Refuse(ESRCH, "the process was killed while its memory was read");
  return {};
}

Result<bool> DirectCapture::HasManyHoles() {
  if (head_.core_bytes().value_or(0) <= kPlainHolesMax) return false;
  std::uint64_t holes = 0;
  for (const PlannedSegment& segment : segments_) {
    if (segment.source != SegmentSource::kPresentPages) continue;
    const std::uint64_t end = segment.address + segment.bytes;
    for (std::uint64_t at = segment.address; at < end;) {
      OBIT_TRY(CheckTime());
      const auto scan = ScanSegment(at, std::min(end, at + kWindow));
      if (!scan) break;  // told when it is captured
      std::uint64_t filled = at;
      for (const MemoryRun& run : scan->runs) {
        if (run.begin - std::min(filled, run.begin) >= kHoleMin) holes += run.begin - filled;
        filled = run.end;
      }
      at = std::min(end, scan->end);
      if (at - std::min(filled, at) >= kHoleMin) holes += at - filled;
      if (holes > kPlainHolesMax) return true;
    }
  }
  return false;
}

/// Scanned by whole pages; the head may have ended within one.
Result<PageScan> DirectCapture::ScanSegment(std::uint64_t begin, std::uint64_t end) const {
  const std::uint64_t page = PageBytes();
  progress_.fetch_add(1, std::memory_order_relaxed);  // many windows without a page are progress, too
  return ScanPages(memory_.pagemap, PageKind::kFilled, begin / page * page, (end + page - 1) / page * page);
}

Result<void> DirectCapture::CaptureSegments(std::size_t first) {
  for (const PlannedSegment& segment : std::span(segments_).subspan(first))
    if (segment.offset + segment.bytes > at_)  // else it came along with the head
      OBIT_TRY(CaptureSegment(segment));
  return planner_.Flush();
}

Result<void> DirectCapture::CaptureSegment(const PlannedSegment& segment) {
  if (segment.source == SegmentSource::kStream)
    return CopyFromStream(segment,
                          segment.name.empty() ? "it is no mapping" : segment.name + " may have to wait");
  const std::uint64_t begin = segment.address + (std::max(at_, segment.offset) - segment.offset);
  const std::uint64_t end = segment.address + segment.bytes;
  switch (segment.source) {
    case SegmentSource::kPresentPages:
      for (std::uint64_t at = begin; at < end;) {
        OBIT_TRY(CheckTime());
        at = OBIT_TRY(PlanPresentPages(segment, at, std::min(end, at + kWindow)));
      }
      return {};
    case SegmentSource::kAllPages:
      return planner_.Add({begin, segment.offset + (begin - segment.address), end - begin, &segment});
    case SegmentSource::kStream:
    case SegmentSource::kNone:
      CountUnread(segment, end - begin);
      break;
  }
  return {};
}

Result<std::uint64_t> DirectCapture::PlanPresentPages(const PlannedSegment& segment, std::uint64_t address,
                                                      std::uint64_t limit) {
  const PageScan scan = OBIT_TRY(ScanSegment(address, limit));
  // Memory that is gone has no pages that are present: then what the scan said is worth nothing.
  if (!HasMemory(memory_.mem, address)) return Refuse(ESRCH, "the process is gone");
  for (const MemoryRun& run : scan.runs) {
    const std::uint64_t begin = std::max(run.begin, address), end = std::min(run.end, limit);
    if (begin < end)
      OBIT_TRY(planner_.Add({begin, segment.offset + (begin - segment.address), end - begin, &segment}));
  }
  return std::min(limit, scan.end);
}

Result<void> DirectCapture::CaptureChunk(PlannedChunk chunk) {
  OBIT_TRY(CheckTime());
  OBIT_TRY(SkipTo(chunk.offset));
  const std::uint64_t bytes = chunk.bytes;
  OBIT_TRY(writer_.Defer(
      bytes, [this, chunk = std::move(chunk)](std::span<std::byte> room) { return ReadChunk(chunk, room); }));
  at_ += bytes;
  return {};
}

/// On a thread of the writer.
Result<void> DirectCapture::ReadChunk(const PlannedChunk& chunk, std::span<std::byte> room) {
  std::uint64_t filled = chunk.offset;
  for (const PlannedRun& run : chunk.runs) {
    std::ranges::fill(room.subspan(filled - chunk.offset, run.offset - filled), std::byte{0});
    filled = run.offset + run.bytes;
    const auto bytes = room.subspan(run.offset - chunk.offset, run.bytes);
    const std::size_t unread = OBIT_TRY(ReadProcessMemory(memory_.mem, run.address, bytes));
    if (alone_) alone_->first.Put(run.address, bytes);
    // In anonymous memory these are guard pages and the like, which the kernel leaves out as well.
    if (unread > 0 && run.segment->source == SegmentSource::kAllPages) CountUnread(*run.segment, unread);
  }
  progress_.fetch_add(room.size(), std::memory_order_relaxed);
  return {};
}

/// From the place where the capture is to the end of `segment`.
Result<void> DirectCapture::CopyFromStream(const PlannedSegment& segment, const std::string& why) {
  if (alone_) return Refuse(EIO, "memory at {:#x}, {} bytes: {}", segment.address, segment.bytes, why);
  OBIT_TRY(planner_.Flush());
  OBIT_TRY(SkipTo(segment.offset));
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
  if (max_ < end) return SkipTo(max_);
  if (at_ >= end) return {};
  if (trailer.size() > end - at_) return Refuse(EBADMSG, "its last segment overlaps the section header");
  OBIT_TRY(SkipTo(end - trailer.size()));
  at_ = end;
  return writer_.Append(trailer);
}

/// Everything before `offset` that is not captured is a hole.
Result<void> DirectCapture::SkipTo(std::uint64_t offset) {
  if (offset <= at_) return {};
  OBIT_TRY(writer_.Skip(offset - at_));
  progress_.fetch_add(1, std::memory_order_relaxed);  // however large: who is slow is judged by bytes
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
    if (capture.unread.size() < CrashRecord::Capture::kRangesMax)
      capture.unread.push_back({segment->address, bytes, segment->name});
  }
}

}  // namespace obit
