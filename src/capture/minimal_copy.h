#pragma once

#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "store/core_reader.h"

namespace obit {

struct MinimalCopy {
  bool ends_early = false;       ///< the full core did not have all memory
  std::optional<Error> damaged;  ///< why some of it cannot be read
};

/// Writes to `out` the minimal core of the process whose full one `core` is; of one that is minimal, a copy.
/// EBADMSG: it ends within its head, or is no core. Memory that the core lacks is left out.
[[nodiscard]] Result<MinimalCopy> WriteMinimalCore(CoreReader& core, const Fd& out);

}  // namespace obit
