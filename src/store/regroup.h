#pragma once

#include <cstddef>

#include "base/result.h"
#include "store/store.h"

namespace obit {

/// Gives each report with a fingerprint of an older version one of this version, from the stacks that it
/// holds: so the history falls into the groups of today, without any core. Returns how many there were; what
/// cannot be read or written keeps its group.
[[nodiscard]] Result<std::size_t> Regroup(const Store& store);

}  // namespace obit
