#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "elf/core_head.h"
#include "kernel/mappings.h"
#include "kernel/process_memory.h"

namespace obit {

/// Where direct capture gets the bytes of a segment from.
enum class SegmentSource {
  kPresentPages,  ///< anonymous private memory: what is neither in memory nor in swap holds zeros
  kAllPages,      ///< files and shared memory: a page may exist without being present
  kStream,  ///< reading it ourselves might wait for somebody who never answers, or it is nobody's mapping
  kNone,    ///< /proc/PID/mem refuses it whole
};

/// A segment of the core and what it is in the process.
struct PlannedSegment {
  std::uint64_t address = 0, offset = 0, bytes = 0;  ///< `offset` in the core
  SegmentSource source = SegmentSource::kStream;
  std::string name;  ///< of the mapping
};

/// The segments by their place in the core. `mappings` is ordered. EINVAL: they overlap, or are more than the
/// head kept; such a core is captured by stream.
[[nodiscard]] Result<std::vector<PlannedSegment>> PlanSegments(const CoreHead& head,
                                                               const std::vector<Mapping>& mappings);
/// A plan with segments of this kind needs the mappings from smaps: maps does not tell who fills their pages.
[[nodiscard]] bool MayWaitForUserFaults(const std::vector<PlannedSegment>& segments,
                                        const std::vector<Mapping>& mappings);

/// Memory to copy, and where in the core it belongs.
struct PlannedRun {
  std::uint64_t address = 0, offset = 0, bytes = 0;
  const PlannedSegment* segment = nullptr;
};
/// A part of the core of at most kFrameBytes: zeros, except for its runs. They may be of several segments.
struct PlannedChunk {
  std::uint64_t offset = 0, bytes = 0;
  std::vector<PlannedRun> runs;
};
/// A gap between runs that is at least so long becomes a hole, bytes: shorter ones cost less as zeros in a
/// frame.
inline constexpr std::uint64_t kHoleMin = 64 * 1024;

/// Packs runs into chunks. What is between the chunks is holes.
class ChunkPlanner {
 public:
  /// `emit` takes each chunk that is full, in order.
  explicit ChunkPlanner(std::function<Result<void>(PlannedChunk)> emit) : emit_(std::move(emit)) {}

  /// Takes the next run, by offset; it may be longer than a chunk.
  [[nodiscard]] Result<void> Add(PlannedRun run);
  /// Emits what is left.
  [[nodiscard]] Result<void> Flush();
  /// Forgets what is left.
  void Clear() { chunk_ = {}; }

 private:
  std::function<Result<void>(PlannedChunk)> emit_;
  PlannedChunk chunk_;
};

}  // namespace obit
