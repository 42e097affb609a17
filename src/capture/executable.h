#pragma once

#include "base/fd.h"
#include "crash/record.h"
#include "store/core_writer.h"

namespace obit {

/// Notes the build-id of the program, and keeps a copy of it as exe.zst in `dir` if its path does not lead
/// there on this host (deleted, replaced, or in a container): without it the core could not be read. `exe`
/// may be an O_PATH descriptor. What cannot be done is left out of the record; the crash is kept all the
/// same.
void KeepExecutable(const Fd& exe, const Fd& dir, const CoreWriter::Options& options, CrashRecord& record);

}  // namespace obit
