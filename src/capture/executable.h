#pragma once

#include <chrono>

#include "base/fd.h"
#include "crash/record.h"
#include "store/core_writer.h"

namespace obit {

/// A copy that takes longer is given up: until then the crash cannot be committed, and its worker takes no
/// other.
inline constexpr std::chrono::seconds kExecutablePatience{30};

/// Notes what tells the program from others, and keeps a copy of it as exe.zst in `dir` unless it is
/// `reachable`: its path leads to it on this host. Deleted, replaced, or in a container, the core could not
/// be read without it. What cannot be done is left out of the record, which says why there is no copy; the
/// crash is kept all the same. Looks at the time between two reads: one that waits it cannot end.
void KeepExecutable(const Fd& exe, bool reachable, const Fd& dir, const CoreWriter::Options& options,
                    CrashRecord& record, std::chrono::seconds patience = kExecutablePatience);

/// Keeps the copy that a capture left which did not come to its end: if it is whole, and there is a core to
/// be read with it. Else it is removed. Fails if it cannot be told.
[[nodiscard]] Result<void> TakeStoredExecutable(const Fd& dir, CrashRecord& record);

}  // namespace obit
