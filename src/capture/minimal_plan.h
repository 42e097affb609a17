#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "capture/memory_view.h"
#include "capture/process_map.h"
#include "elf/core_head.h"
#include "elf/core_layout.h"
#include "elf/core_notes.h"

namespace obit {

/// How much of what a minimal core has, bytes.
struct MinimalLimits {
  std::uint64_t crashing_stack = 1 << 20;  ///< from the stack pointer on
  std::uint64_t stack = 256 << 10;         ///< of each other thread
  std::uint64_t data = 4 << 20;            ///< what the program wrote to its own data; its libraries again
  std::uint64_t small = 128 << 10;  ///< anonymous mappings of this size, where the core comes by stream
  std::uint64_t pointed = 2 << 20;  ///< what registers and stacks point to
  std::uint64_t all = 16 << 20;     ///< of memory altogether
};

/// The notes of a minimal core are kept whole up to so many bytes, some 300 threads; of further threads their
/// registers are, of which debuggers make a trace.
inline constexpr std::size_t kMinimalNotesWhole = 4 << 20, kMinimalNotesMax = 8 << 20;
/// The head of a core that is to become a minimal one.
[[nodiscard]] CoreHead HeadForMinimal();

/// Finds the memory without which debuggers and obit's analysis would not show the same stacks: of every
/// thread its stack and its control block, the loader's lists, the vdso, what was written to the data of
/// programs and libraries; and then what registers and stacks point to, the crashing thread's first. All of
/// it is untrusted, and whatever it says, this ends soon: after a bounded number of looks at it, or when
/// `go_on`, which is asked at each, says no.
[[nodiscard]] std::vector<CoreRun> PlanMinimal(MemoryView& view, const ProcessMap& map,
                                               const CoreNotes& notes, ElfClass elf_class,
                                               const MinimalLimits& limits,
                                               const std::function<bool()>& go_on = {});

/// The minimal core of these runs. Its notes are those of `head`, and one of all mappings: what is in no run
/// was left out, and was not unmapped.
[[nodiscard]] CoreLayout LayOutMinimal(const CoreHead& head, const ProcessMap& map,
                                       std::vector<CoreRun> runs);

}  // namespace obit
