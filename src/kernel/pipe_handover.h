#pragma once

// obit-pipe's side of its one exchange with obitd, and obitd's answer.

#include <chrono>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/pipe_message.h"

namespace obit {

/// Until obit-pipe leaves what it has sent to obitd: for so long the process may wait for nothing.
inline constexpr std::chrono::milliseconds kHandOverTime{1000};
/// Connections that one crash is tried on: one that is refused is told so by none of them.
inline constexpr int kHandOverTries = 5;

/// Hands the crash to who listens at `socket_path`, with one or two descriptors as PipeMessage says; the
/// caller keeps its own. A connection that ends without an answer is lost with what nobody has read (the
/// manager was killed), so another is made. True: the answer is there. False: it is not after `patience`, and
/// the message lies in a socket that obitd has, and is read when it gets there. Fails if nobody listens
/// (ECONNREFUSED, ENOENT), the backlog is full (EAGAIN), or no connection is answered (ECONNRESET).
[[nodiscard]] Result<bool> HandOver(const std::string& socket_path, const PipeMessage& message,
                                    std::span<const int> fds,
                                    std::chrono::milliseconds patience = kHandOverTime);

/// obitd's answer: whatever becomes of the crash, it is not lost with this connection any more. Never waits.
void AnswerHandOver(const Fd& helper);

}  // namespace obit
