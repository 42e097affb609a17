#pragma once

#include <initializer_list>
#include <span>

#include "base/fd.h"

namespace obit {

/// Leaves a forked process with the standard descriptors and `kept`, as 3, 4, 5, ..., O_CLOEXEC; all others
/// are closed: a copy of another crash's connection would hold that crash's process. Those that are empty
/// stay so. Ends the process where that cannot be done.
void KeepOnly(std::span<Fd* const> kept);

}  // namespace obit
