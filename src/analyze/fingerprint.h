#pragma once

#include "crash/report.h"

namespace obit {

/// What makes two crashes the same: the functions that the crashing thread was in, without the runtime's own,
/// and the kind of cause where it is not just a bad memory access. Needs cause, stacks and modules of the
/// report.
/// `gave_up`: the process sent itself the signal (runtime_frames.h).
[[nodiscard]] Report::Fingerprint FindFingerprint(const Report& report, bool gave_up);

}  // namespace obit
