#pragma once

#include <cstdint>

#include "store/commit.h"
#include "store/store.h"

namespace obit {

/// ReadNumbers, going on behind those of all crashes: some may have been copied into this store from another
/// one, and a disk that was full may have kept a file of numbers from being written. An index that has any is
/// brought up to date for that; where it cannot be, the folders are read.
[[nodiscard]] StoreNumbers OpenNumbers(const Store& store, std::uint64_t range, bool waits);

}  // namespace obit
