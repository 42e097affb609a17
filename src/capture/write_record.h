#pragma once

#include <functional>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"

namespace obit {

/// Puts it behind what is the reason so far.
void AddReason(CrashRecord::Capture& capture, std::string_view reason);

/// Notes that the disk did not say that `what` is on it: it is kept all the same.
void NoteUnsynced(CrashRecord::Capture& capture, std::string_view what, const Error& why);

/// Called with a file that has no name yet that others may know; none: there is nothing to do.
using PrepareFile = std::function<Result<void>(const Fd& file)>;

/// As WriteRecord (capture.h), and `record` is what was written: a sync that failed is noted in it, and it
/// has nothing that is too long for a reader.
[[nodiscard]] Result<void> StoreRecord(const Fd& dir, CrashRecord& record, const PrepareFile& prepare = {});

/// begun.json, as it is now. It is not synced, and if that fails it stays as it was.
void ReplaceBegun(const Fd& dir, const CrashRecord& record);

}  // namespace obit
