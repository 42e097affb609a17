#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "capture/first_set.h"
#include "capture/mapping_ties.h"
#include "capture/plan.h"
#include "capture/stream.h"
#include "crash/record.h"
#include "elf/core_head.h"
#include "kernel/memory_outlook.h"
#include "kernel/process_memory.h"
#include "store/core_writer.h"

namespace obit {

/// Copies the memory of a crashed process in place of the kernel, which stands still behind the connection
/// once its head has come: several threads read, holes are not read at all. The core is the same. What cannot
/// be read comes by the stream, which still waits.
class DirectCapture {
 public:
  /// `head` is complete, `writer` has what `stream` gave so far. All outlive this object.
  /// Only the first `max` bytes of the core are wanted.
  DirectCapture(const ProcessMemory& memory, const CoreHead& head, CoreStream& stream, CoreWriter& writer,
                std::atomic<std::uint64_t>& progress, std::uint64_t max = UINT64_MAX);

  /// Learns what the segments are, and what the mappings tie up, if it is told the other `ties`. Fails if
  /// this core has to come by stream; nothing was done then.
  /// `pid` is the process.
  [[nodiscard]] Result<void> Plan(const MemoryTies* ties = nullptr, pid_t pid = 0);
  /// True if the core has so much memory in it, bytes, that is no hole. It looks no further than that.
  [[nodiscard]] Result<bool> HasMemoryOf(std::uint64_t least) const;
  /// From here on the process may go, and the stream gives nothing: its memory is kept, `first` has what its
  /// end has changed, and Run() ends early (ETIMEDOUT, ENOMEM) at `deadline` (CLOCK_MONOTONIC, ns) or when
  /// others want the memory. What is named outlives this object.
  struct Alone {
    const FirstSet& first;
    MemoryWatch& watch;
    std::uint64_t from = 0;  ///< so much of the core has come by the stream, and is with the writer
    std::uint64_t page = 0;  ///< an address whose page has something, as long as nobody takes the memory
    std::int64_t deadline = 0;
  };
  void GoOnAlone(const Alone& alone);
  /// Captures all that is left of the core. On return nothing of the process is needed any more. An error
  /// says why the core ends early.
  [[nodiscard]] Result<void> Run();

  /// By their place in the core.
  [[nodiscard]] const std::vector<PlannedSegment>& segments() const { return segments_; }
  [[nodiscard]] const MappingTies& ties() const { return ties_; }
  /// Adds what Run() could not read, and what came by the stream and why.
  void Describe(CrashRecord::Capture& capture) const;

 private:
  Result<std::vector<Mapping>> PlanBy(const Fd& file);
  void CutSegments();
  Result<void> CheckTime();
  Result<void> CheckStillKept() const;
  Result<void> RunOn();
  /// True if the memory that is not there is more than a core may have as plain holes.
  Result<bool> HasManyHoles();
  Result<void> CaptureSegments(std::size_t first);
  Result<void> CaptureSegment(const PlannedSegment& segment);
  Result<PageScan> ScanSegment(std::uint64_t begin, std::uint64_t end) const;
  /// Plans the pages from `address` on, `limit` at most; returns how far that is.
  Result<std::uint64_t> PlanPresentPages(const PlannedSegment& segment, std::uint64_t address,
                                         std::uint64_t limit);
  Result<void> CaptureChunk(PlannedChunk chunk);
  Result<void> ReadChunk(const PlannedChunk& chunk, std::span<std::byte> room);
  Result<void> CopyFromStream(const PlannedSegment& segment, const std::string& why);
  Result<void> CaptureEnd();
  Result<void> SkipTo(std::uint64_t offset);
  void CountUnread(const PlannedSegment& segment, std::uint64_t bytes);

  const ProcessMemory& memory_;
  const CoreHead& head_;
  CoreStream& stream_;
  CoreWriter& writer_;
  std::atomic<std::uint64_t>& progress_;
  const std::uint64_t max_;
  std::vector<PlannedSegment> segments_;
  MappingTies ties_;
  std::optional<Alone> alone_;
  std::int64_t watched_ = 0;  // when it was looked for others who want the memory, CLOCK_MONOTONIC, ns
  std::uint64_t at_ = 0;      // offset in the core: all before it is with the writer
  ChunkPlanner planner_;
  std::string stream_reason_;

  std::mutex mutex_;
  std::map<const PlannedSegment*, std::uint64_t> unread_;  // bytes; guarded by mutex_ while threads read
};

}  // namespace obit
