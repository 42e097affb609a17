#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "capture/plan.h"
#include "capture/stream.h"
#include "crash/record.h"
#include "store/core_reader.h"

namespace obit {

/// Reads what is left of the kernel's core, up to `end`, and compares it with the stored one, page by page.
/// `segments` name the places, by their order in the core. The stream's errors.
[[nodiscard]] Result<Verification> CompareWithStream(CoreReader& stored, CoreStream& stream,
                                                     std::uint64_t end,
                                                     const std::vector<PlannedSegment>& segments);

}  // namespace obit
