#pragma once

#include <cstdint>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"
#include "kernel/coredump_socket.h"
#include "kernel/handshake.h"

namespace obit {

/// What to ask the kernel for, to keep so much of a crash.
[[nodiscard]] CoredumpWish WishOf(Detail detail);

/// Answers the kernel's offer and waits for its verdict, until `deadline` (CLOCK_MONOTONIC, ns).
[[nodiscard]] Result<void> AskFor(Detail detail, const Fd& connection, const CoredumpRequest& offer,
                                  std::int64_t deadline);

}  // namespace obit
