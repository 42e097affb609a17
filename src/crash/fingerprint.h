#pragma once

#include "crash/record.h"
#include "crash/report.h"

namespace obit {

/// What makes two crashes the same: the functions that the crashing thread was in, without the runtime's own,
/// and the kind of cause where it is not just a bad memory access. Needs cause, stacks and modules of the
/// report.
[[nodiscard]] Report::Fingerprint FindFingerprint(const Report& report, const CrashRecord& record);

}  // namespace obit
