#pragma once

#include <cstddef>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "base/unix_socket.h"

namespace obit {

// For those who have nothing to do but this: where the host has no memory for a message, it will have some in
// a moment, and a message that nobody gets is waited for until somebody is killed for it.

/// Sends a message, as soon as there is room and memory for it. Fails once the other end is gone.
[[nodiscard]] Result<void> SendPatiently(const Fd& socket, std::span<const std::byte> bytes);

/// Waits for the next message (ReceiveMessage without flags), and for memory to take it.
[[nodiscard]] Result<Message> ReceivePatiently(const Fd& socket, std::size_t max);

}  // namespace obit
