#pragma once

#include <cstddef>
#include <optional>

#include "base/result.h"
#include "store/store.h"

namespace obit {

/// What became of the reports of a store.
struct Regrouped {
  std::size_t done = 0;
  std::size_t failed = 0;    ///< which could not be read or written, and keep their group
  std::optional<Error> why;  ///< the first of these failed
};
/// Writes what Store::LoadReport makes of each report of an older version (crash/regroup.h), for those who
/// read the files themselves. A day that cannot be listed is left out. Fails where the store cannot be
/// listed.
[[nodiscard]] Result<Regrouped> Regroup(const Store& store);

}  // namespace obit
