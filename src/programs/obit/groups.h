#pragma once

#include "catalog/groups.h"
#include "verbs.h"

namespace obit {

/// Shows one group: what its crashes have in common, and each of them. `digits` is how much of an id is
/// shown.
[[nodiscard]] ExitCode ShowGroup(const Store& store, const std::string& store_path, const CrashGroup& group,
                                 std::size_t digits, const ShowOptions& options);

}  // namespace obit
