#include "capture/minimal.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "elf/core_notes.h"
#include "store/seekable.h"

namespace obit {
namespace {

/// Less memory than this is worth no core, bytes.
constexpr std::uint64_t kWorthMin = 64 * 1024;
/// How often a core is planned, until it fits.
constexpr int kPlansMax = 4;

/// The pieces of memory of one frame of the core.
struct Frame {
  struct Piece {
    std::uint64_t address, bytes;
  };
  std::vector<Piece> pieces;
  std::uint64_t bytes = 0;
};

/// On a thread of the writer. `deadline`: CLOCK_MONOTONIC, ns.
Result<void> ReadFrame(const Fd& mem, const Frame& frame, std::span<std::byte> room, std::int64_t deadline,
                       std::atomic<std::uint64_t>& progress) {
  // What was swapped out takes its time to be read.
  if (MonotonicNow() >= deadline) return Refuse(ETIMEDOUT, "its memory could not be read in time");
  for (const Frame::Piece& piece : frame.pieces) {
    // What cannot be read any more was there a moment ago, and is zeros in the kernel's core as well.
    (void)OBIT_TRY(ReadProcessMemory(mem, piece.address, room.first(piece.bytes)));
    room = room.subspan(piece.bytes);
  }
  progress.fetch_add(frame.bytes, std::memory_order_relaxed);
  return {};
}

/// In parts, for the same reason as in LayOutMinimal().
Result<void> AppendHead(const CoreLayout& layout, CoreWriter& writer) {
  OBIT_TRY(writer.Append(layout.Headers()));
  OBIT_TRY(writer.Append(layout.notes()));
  return writer.Append(std::vector<std::byte>(layout.padding()));
}

/// Has the threads of the writer read all runs.
Result<void> ReadRuns(const Fd& mem, const CoreLayout& layout, const CoreStream& stream, CoreWriter& writer,
                      std::atomic<std::uint64_t>& progress) {
  Frame frame;
  const auto flush = [&]() -> Result<void> {
    if (frame.bytes == 0) return {};
    const auto bytes = static_cast<std::size_t>(frame.bytes);
    return writer.Defer(
        bytes, [&mem, &progress, deadline = stream.deadline(), frame = std::exchange(frame, {})](
                   std::span<std::byte> room) { return ReadFrame(mem, frame, room, deadline, progress); });
  };
  for (const CoreRun& run : layout.runs()) {
    for (std::uint64_t done = 0; done < run.file_bytes;) {
      const std::uint64_t bytes = std::min(run.file_bytes - done, kFrameBytes - frame.bytes);
      frame.pieces.push_back({run.address + done, bytes});
      frame.bytes += bytes;
      done += bytes;
      if (frame.bytes == kFrameBytes) OBIT_TRY(flush());
    }
  }
  return flush();
}

/// Where a run is in the kernel's core.
std::uint64_t OffsetOf(const ProcessMap& map, const CoreRun& run) {
  const ProcessMapping* mapping = map.Find(run.address);
  return mapping == nullptr ? UINT64_MAX : mapping->core_offset + (run.address - mapping->begin);
}

/// Takes all runs from the kernel's core as it comes.
Result<void> TakeRuns(const ProcessMap& map, const CoreLayout& layout, CoreStream& stream,
                      CoreWriter& writer) {
  for (const CoreRun& run : layout.runs()) {
    if (run.file_bytes == 0) continue;
    const std::uint64_t begin = OffsetOf(map, run);
    if (begin < stream.position()) return Refuse(EBADMSG, "its segments overlap its head or each other");
    OBIT_TRY(stream.Discard(begin));
    OBIT_TRY(stream.Copy(begin + run.file_bytes, writer));
  }
  return {};
}

/// Again with less memory, if RLIMIT_CORE wants that. With less there may be more segments, and a larger
/// head.
CoreLayout Plan(MemoryView& view, const CoreHead& head, const ProcessMap& map, const CoreNotes& notes,
                std::uint64_t core_max, const std::function<bool()>& go_on) {
  MinimalLimits limits;
  // All of it comes anyway.
  if (!view.can_read() && head.core_bytes().value_or(UINT64_MAX) <= kWholeCoreMax)
    limits.small = limits.data = kWholeCoreMax;
  const auto lay_out = [&] {
    std::vector<CoreRun> runs = PlanMinimal(view, map, notes, head.elf_class(), limits, go_on);
    // By stream in the order in which they come: the kernel may have sorted them by size (core_sort_vma).
    if (!view.can_read())
      std::ranges::stable_sort(runs, {}, [&](const CoreRun& run) { return OffsetOf(map, run); });
    return LayOutMinimal(head, map, std::move(runs));
  };
  CoreLayout layout = lay_out();
  for (int plans = 1; plans < kPlansMax && layout.core_bytes() > core_max; ++plans) {
    const std::uint64_t too_much = layout.core_bytes() - core_max;
    const std::uint64_t memory = std::min(limits.all, layout.core_bytes() - layout.head_bytes());
    if (memory < too_much + kWorthMin) break;
    limits.all = memory - too_much;
    layout = lay_out();
  }
  return layout;
}

}  // namespace

Result<void> CaptureMinimal(CoreHead& head, CoreStream& stream, CoreWriter& writer,
                            const ProcessMemory* memory, std::uint64_t core_max,
                            std::atomic<std::uint64_t>& progress, CrashRecord::Capture& capture,
                            StreamedMemory streamed) {
  capture.method = CaptureMethod::kStream;
  const bool is_reduced = streamed == StreamedMemory::kReduced;
  const auto come = OBIT_TRY(stream.ReadHeadAside(head, is_reduced ? 0 : std::min(kWholeCoreMax, core_max)));
  const std::uint64_t full = head.core_bytes().value_or(0);
  capture.promised_bytes = full;
  if (!come.empty()) {
    OBIT_TRY(writer.Append(come));
    return stream.Copy(full, writer);
  }
  std::optional<std::vector<Mapping>> maps;
  // The kernel may have sent the little that is left, and the process may be gone.
  const bool is_sent = full - std::min(full, stream.position()) < kWholeCoreMax;
  if (memory != nullptr && !is_sent) {
    if (auto read = ReadMappings(memory->maps))
      maps = std::move(*read);
    else
      capture.stream_reason = std::move(read).error().what;
  }
  if (maps) writer.FetchFirst();
  auto captured =
      CaptureMinimalBehind(head, stream, writer, memory, std::move(maps), core_max, progress, capture);
  if (is_reduced) {
    capture.full_bytes.reset();
    if (!capture.stream_reason.empty()) capture.stream_reason += "; ";
    capture.stream_reason += "the kernel was asked for private memory only";
  }
  return captured;
}

Result<void> CaptureMinimalBehind(const CoreHead& head, CoreStream& stream, CoreWriter& writer,
                                  const ProcessMemory* memory, std::optional<std::vector<Mapping>> maps,
                                  std::uint64_t core_max, std::atomic<std::uint64_t>& progress,
                                  CrashRecord::Capture& capture) {
  const CoreNotes notes = ParseCoreNotes(head.notes(), head.elf_class(), head.machine());
  const ProcessMap map(head, notes, maps ? &*maps : nullptr);
  std::optional<ProcessView> process;
  if (maps) process.emplace(*memory);
  maps.reset();  // of 65,530 mappings, 10 MB
  PromisedView promised;
  MemoryView& view = process ? static_cast<MemoryView&>(*process) : promised;
  const auto go_on = [&] {
    progress.fetch_add(1, std::memory_order_relaxed);  // many looks without a byte are progress, too
    return stream.CheckDeadline().has_value();
  };
  const CoreLayout layout = Plan(view, head, map, notes, core_max, go_on);
  if (layout.core_bytes() > core_max)
    return Refuse(EFBIG, "RLIMIT_CORE is {} bytes, and a minimal core has {}", core_max, layout.core_bytes());
  capture.full_bytes = head.core_bytes();
  capture.promised_bytes = layout.core_bytes();
  OBIT_TRY(AppendHead(layout, writer));
  if (process) {
    capture.method = CaptureMethod::kDirect;
    OBIT_TRY(ReadRuns(memory->mem, layout, stream, writer, progress));
    OBIT_TRY(writer.WaitFetched());
    // After SIGKILL the memory stays for a moment, but may be taken from it already (oom_reaper).
    if (!HasMemory(memory->mem, 0) || stream.HungUp())
      return Refuse(ESRCH, "the process was killed while its memory was read");
  } else {
    OBIT_TRY(TakeRuns(map, layout, stream, writer));
  }
  OBIT_TRY(writer.Append(layout.Trailer()));
  if (!head.has_all_segments())
    return Refuse(E2BIG, "the process had too many mappings: those with the highest addresses are left out");
  return {};
}

}  // namespace obit
