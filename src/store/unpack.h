#pragma once

#include <cstdint>
#include <functional>

#include "base/fd.h"
#include "base/result.h"
#include "store/core_reader.h"

namespace obit {

/// Writes the plain core to `out`, from its position on, and leaves the position behind it. In a regular file
/// holes stay holes, also those inside of data (pages of zeros); into anything else, or amid existing
/// content, zeros are written. EFBIG: no file may be so long there. `progress` gets the bytes of the core
/// that are done.
[[nodiscard]] Result<void> UnpackCore(CoreReader& reader, const Fd& out,
                                      const std::function<void(std::uint64_t)>& progress);

}  // namespace obit
