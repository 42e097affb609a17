#include "capture/plan.h"

#include <algorithm>
#include <utility>

#include "store/seekable.h"

namespace obit {
namespace {

/// Memory that only the kernel can read: its pages belong to no process.
bool IsUnreadable(std::string_view name) { return name.starts_with("[vvar") || name == "[vsyscall]"; }

bool IsAnonymous(const Mapping& mapping) {
  return !mapping.shared && mapping.inode == 0 && mapping.name != "[vdso]";
}

SegmentSource SourceOf(const CoreHead::Segment& segment, const Mapping* mapping) {
  if (mapping == nullptr || segment.bytes > mapping->end - segment.address) return SegmentSource::kStream;
  if (IsUnreadable(mapping->name)) return SegmentSource::kNone;
  if (IsAnonymous(*mapping)) return SegmentSource::kPresentPages;
  return mapping->user_faults ? SegmentSource::kStream : SegmentSource::kAllPages;
}

}  // namespace

Result<std::vector<PlannedSegment>> PlanSegments(const CoreHead& head, const std::vector<Mapping>& mappings) {
  if (!head.has_all_segments())
    return Refuse(EINVAL, "it has more than {} segments", CoreHead::kSegmentsKept);
  std::vector<PlannedSegment> plan;
  plan.reserve(head.segments().size());
  for (const CoreHead::Segment& segment : head.segments()) {
    const Mapping* mapping = FindMapping(mappings, segment.address);
    plan.push_back({segment.address, segment.offset, segment.bytes, SourceOf(segment, mapping),
                    mapping != nullptr ? mapping->name : std::string()});
  }
  std::ranges::sort(plan, {}, &PlannedSegment::offset);
  for (std::size_t i = 1; i < plan.size(); ++i)
    if (plan[i].offset < plan[i - 1].offset + plan[i - 1].bytes)
      return Refuse(EINVAL, "its segments overlap");
  return plan;
}

bool MayWaitForUserFaults(const std::vector<PlannedSegment>& segments, const std::vector<Mapping>& mappings) {
  // userfaultfd serves anonymous memory, tmpfs and hugetlbfs (mm/userfaultfd.c); the files of the latter two
  // are on devices with major number 0.
  return std::ranges::any_of(segments, [&](const PlannedSegment& segment) {
    const Mapping* mapping = FindMapping(mappings, segment.address);
    return segment.source == SegmentSource::kAllPages && mapping != nullptr && mapping->inode != 0 &&
           mapping->device_major == 0;
  });
}

Result<void> ChunkPlanner::Add(PlannedRun run) {
  while (run.bytes > 0) {
    const std::uint64_t end = chunk_.offset + chunk_.bytes;
    const bool joins = run.offset - end < kHoleMin && run.offset - chunk_.offset < kFrameBytes;
    if (!chunk_.runs.empty() && !joins) OBIT_TRY(Flush());
    if (chunk_.runs.empty()) chunk_.offset = run.offset;
    const std::uint64_t bytes = std::min(run.bytes, chunk_.offset + kFrameBytes - run.offset);
    chunk_.runs.push_back({run.address, run.offset, bytes, run.segment});
    chunk_.bytes = run.offset + bytes - chunk_.offset;
    run.address += bytes;
    run.offset += bytes;
    run.bytes -= bytes;
  }
  return {};
}

Result<void> ChunkPlanner::Flush() {
  if (chunk_.runs.empty()) return {};
  return emit_(std::exchange(chunk_, {}));
}

}  // namespace obit
