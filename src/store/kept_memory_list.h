#pragma once

#include <vector>

#include "base/result.h"
#include "crash/record.h"
#include "store/store.h"

namespace obit {

/// The crashes whose processes are gone while their memory is kept and copied, as far as they are known now:
/// what is in incoming/, and says so. EACCES: the caller may not look.
[[nodiscard]] Result<std::vector<CrashRecord>> ListKeptMemory(const Store& store);

}  // namespace obit
