#pragma once

#include "base/result.h"
#include "elf/core_head.h"
#include "store/core_reader.h"

namespace obit {

/// Follows a stored core from its beginning to the end of its notes, or of itself: look at complete() and
/// invalid().
[[nodiscard]] Result<CoreHead> ReadStoredHead(CoreReader& core);

}  // namespace obit
