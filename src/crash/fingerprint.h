#pragma once

#include "crash/record.h"
#include "crash/report.h"

namespace obit {

/// What makes two crashes the same: the functions of the program's own that the crashing thread was in, the
/// signal, and the kind of cause where it is not just a bad memory access. Needs cause, stacks and modules of
/// the report, and of these only what the analysis of a program without debug information says, too.
/// docs/store-format.md says exactly what is in it.
[[nodiscard]] Report::Fingerprint FindFingerprint(const Report& report, const CrashRecord& record);

}  // namespace obit
