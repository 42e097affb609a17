#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "capture/stream.h"
#include "crash/record.h"
#include "elf/core_head.h"
#include "kernel/process_memory.h"
#include "store/core_writer.h"
#include "store/recover.h"

namespace obit {

// A full core takes seconds, and the disk, the time, or the life of the process or of the worker may end
// before it does. What there is of it then is its beginning, and the stacks are mostly behind that. So before
// its memory is copied, a minimal core is made, within milliseconds: minimal.zst, beside core.zst. It is
// removed when the full one is done, and takes its place where that ends early.

/// A core with less memory is done in a moment itself, bytes: within some 15 ms, which the millisecond that a
/// minimal one takes (with a hundred threads, five) would make much longer (docs/benchmarks.md).
inline constexpr std::uint64_t kMinimalBesideMin = 32 << 20;
/// And as many times its notes: these grow with the threads, and so does what a minimal core takes.
inline constexpr std::uint64_t kMinimalBesideMinPerNotes = 64;

/// Makes the minimal core of a process whose head has come. `file` is minimal.zst: empty, for reading and
/// writing. What goes wrong costs no more than this core: the file is empty then.
void TakeMinimalBeside(const Fd& file, const CoreHead& head, CoreStream& stream,
                       const CoreWriter::Options& options, const ProcessMemory& memory,
                       std::uint64_t core_max, std::atomic<std::uint64_t>& progress);

/// A full core that ended early.
struct EndedCore {
  CoreHead head;            ///< as far as it has come
  std::uint64_t plain = 0;  ///< so many of its first bytes are stored
};
/// Puts a whole minimal.zst, whose file is `file`, in the place of core.zst, and describes it in the record,
/// whose reason says why the full one ended. Not if the full one has all that the minimal one has, as it may
/// where the kernel sends small mappings first (core_sort_vma). Returns the head of the core that is there
/// now; none: nothing was changed. Fails for a shortage, and if it cannot be renamed.
[[nodiscard]] Result<std::optional<CoreHead>> FallBackToMinimal(const Fd& dir, Fd file, const EndedCore& full,
                                                                FrameCheck check, CrashRecord& record,
                                                                std::atomic<std::uint64_t>* progress);

/// The same by who looks into no core: minimal.zst takes the place of core.zst if it is whole, on the disk,
/// and that is not whole. `same_boot`: no power cut can have taken any page of it. Else it only takes the
/// place of a core of which there is nothing. `before`, if any, is called before it does, and may fail. True:
/// it did. Else it is removed. Fails if that cannot be told.
[[nodiscard]] Result<bool> TakeStoredMinimal(const Fd& dir, bool same_boot,
                                             const std::function<Result<void>()>& before = nullptr);

}  // namespace obit
