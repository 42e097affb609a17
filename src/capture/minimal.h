#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "capture/minimal_plan.h"
#include "capture/stream.h"
#include "crash/record.h"
#include "kernel/mappings.h"
#include "kernel/process_memory.h"
#include "store/core_writer.h"

namespace obit {

/// A core that is no larger is kept whole, bytes: it holds little, and the kernel may be done with it, and
/// its process gone, before its memory can be read.
inline constexpr std::uint64_t kWholeCoreMax = 1 << 20;

/// What the kernel sends of the memory.
enum class StreamedMemory {
  kSelected,  ///< what the process selected (coredump_filter)
  kReduced,   ///< TypesOfMinimal() of it
};

/// Captures a minimal core: of the kernel's it takes the head, of the memory what PlanMinimal() wants, from
/// the process where that can be had (`memory`) and the kernel has not sent it yet, and else from the stream,
/// without what only reading finds.
/// On return nothing of the process is needed any more. `head` is HeadForMinimal(). The record gets the
/// method, what was promised, and, of a minimal core, the size that a full one would have, unless the kernel
/// sends less: that core is minimal, whatever its size.
/// An error says why the core ends early.
[[nodiscard]] Result<void> CaptureMinimal(CoreHead& head, CoreStream& stream, CoreWriter& writer,
                                          const ProcessMemory* memory, std::uint64_t core_max,
                                          std::atomic<std::uint64_t>& progress, CrashRecord::Capture& capture,
                                          StreamedMemory streamed = StreamedMemory::kSelected);

/// The same behind a head that has come, with what /proc/PID/maps says: all is read from the process then;
/// without that it comes by the stream.
[[nodiscard]] Result<void> CaptureMinimalBehind(const CoreHead& head, CoreStream& stream, CoreWriter& writer,
                                                const ProcessMemory* memory,
                                                std::optional<std::vector<Mapping>> maps,
                                                std::uint64_t core_max, std::atomic<std::uint64_t>& progress,
                                                CrashRecord::Capture& capture);

}  // namespace obit
