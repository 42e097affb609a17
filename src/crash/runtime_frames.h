#pragma once

#include <cstddef>
#include <vector>

#include "crash/report.h"

namespace obit {

/// Number of innermost frames that belong to the runtime and not to the program's own logic: C and C++
/// libraries, abort and what leads to it, panic machinery, allocators' checks, signal trampolines. With
/// `gave_up`, a signal that the process sent to itself, also a signal handler, since it is what gave up: what
/// it interrupted counts. All of them if there are no others.
[[nodiscard]] std::size_t CountRuntimeFrames(const std::vector<Frame>& frames,
                                             const std::vector<Module>& modules, bool gave_up);

}  // namespace obit
