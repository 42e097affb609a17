#pragma once

#include <vector>

#include "base/result.h"
#include "catalog/summary.h"
#include "store/store.h"

namespace obit {

/// All crashes of a store: by the index where it can be used, else from the folders.
[[nodiscard]] Result<CrashList> ListCrashes(const Store& store);

/// The same from the folders alone.
[[nodiscard]] Result<CrashList> ListFolders(const Store& store);

/// Drops those that their owners have removed, and notes which are pinned and what was counted after them, of
/// which an index does not know: for crashes that are about to be shown.
void DropRemoved(const Store& store, std::vector<CrashSummary>& crashes);

}  // namespace obit
