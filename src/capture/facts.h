#pragma once

#include "crash/record.h"
#include "elf/core_notes.h"
#include "kernel/process.h"

namespace obit {

/// Puts what /proc told before the dump into the record.
void ApplyProcessFacts(const ProcessFacts& facts, CrashRecord& record);

/// Puts what the core's notes tell into the record: the kernel's words on the signal and registers replace
/// what /proc gave; names and ids only fill what is empty (the notes cut them, and count pids in the process'
/// own namespace).
void ApplyCoreNotes(const CoreNotes& notes, CrashRecord& record);

}  // namespace obit
