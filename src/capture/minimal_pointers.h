#pragma once

#include <cstdint>

#include "capture/kept_memory.h"
#include "elf/core_notes.h"

namespace obit {

/// Keeps the memory that registers and stacks point to, up to `max` bytes: the arguments of functions, the
/// objects they work on, what an exception says. What the crashing thread points to is followed once more.
void KeepWhatIsPointedTo(KeptMemory& memory, const CoreNotes& notes, std::uint64_t max);

}  // namespace obit
