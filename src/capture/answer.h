#pragma once

#include "crash/record.h"
#include "kernel/handshake.h"

namespace obit {

/// What to ask the kernel for, to keep so much of a crash.
[[nodiscard]] CoredumpWish WishOf(Detail detail);

}  // namespace obit
