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
/// Gives each report with a fingerprint of an older version one of this version, from the stacks that it
/// holds: so the history falls into the groups of today, without any core. A day that
/// cannot be listed is left out. Fails where the store cannot be listed.
[[nodiscard]] Result<Regrouped> Regroup(const Store& store);

}  // namespace obit
