#pragma once

#include "base/fd.h"
#include "crash/record.h"
#include "store/core_writer.h"

namespace obit {

/// Notes what tells the program from others, and keeps a copy of it as exe.zst in `dir` unless it is
/// `reachable`: its path leads to it on this host. Deleted, replaced, or in a container, the core could not
/// be read without it. What cannot be done is left out of the record; the crash is kept all the same.
void KeepExecutable(const Fd& exe, bool reachable, const Fd& dir, const CoreWriter::Options& options,
                    CrashRecord& record);

}  // namespace obit
