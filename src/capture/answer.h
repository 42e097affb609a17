#pragma once

#include <cstdint>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"
#include "kernel/coredump_socket.h"
#include "kernel/handshake.h"

namespace obit {

/// What to ask the kernel for, to keep so much of a crash.
[[nodiscard]] CoredumpWish WishOf(Detail detail);

/// The memory types of which a minimal core is made, of those that the process selected, for a core that has
/// to come by stream. Nothing: the process selected no others, or the kernel does not say.
[[nodiscard]] std::optional<std::uint64_t> TypesOfMinimal(const CoredumpRequest& offer);

/// Answers the kernel's offer, waits for its verdict, until `deadline` (CLOCK_MONOTONIC, ns), and returns
/// what it has agreed to. `memory_types`: as of Handshake::Answer.
[[nodiscard]] Result<CoredumpAck> AskFor(Detail detail, const Fd& connection, const CoredumpRequest& offer,
                                         std::int64_t deadline,
                                         std::optional<std::uint64_t> memory_types = std::nullopt);

}  // namespace obit
