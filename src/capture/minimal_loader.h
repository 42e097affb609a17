#pragma once

#include <cstdint>

#include "capture/kept_memory.h"
#include "elf/core_notes.h"

namespace obit {

/// Keeps the lists that tell a debugger which libraries are loaded where: from the program's headers by its
/// dynamic section to the dynamic loader's link maps (64-bit).
void KeepLoaderLists(KeptMemory& memory, const CoreNotes& notes);

/// Keeps what was written to the data of the program and of its libraries, at most `max` bytes of the
/// program and as many of all others, and the first page of each, which has its build-id.
void KeepWrittenData(KeptMemory& memory, const CoreNotes& notes, std::uint64_t max);

/// Keeps small mappings, `max` bytes of them in all: for memory that cannot be read, where nothing tells
/// which of them are the loader's.
void KeepSmallMappings(KeptMemory& memory, std::uint64_t small, std::uint64_t max);

}  // namespace obit
