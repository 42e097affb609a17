#pragma once

#include "base/result.h"
#include "elf/core_head.h"
#include "store/core_reader.h"

namespace obit {

/// Follows a stored core from its beginning to the end of its notes, or of itself: look at complete() and
/// invalid().
/// `head` is what is to be kept of it.
[[nodiscard]] Result<CoreHead> ReadStoredHead(CoreReader& core, CoreHead head = {});

}  // namespace obit
