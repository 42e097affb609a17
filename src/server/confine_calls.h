#pragma once

// Lists of system calls that confine*.cc share.

#include <cstdint>
#include <span>

#include "base/system_call_filter.h"
#include "kernel/ioctl_request.h"

namespace obit {

/// To manage memory, to ask for the time and for itself, to wait, to end: nothing that reaches a file.
[[nodiscard]] std::span<const int> CallsOfEveryRole();
/// To talk over sockets that are open.
[[nodiscard]] std::span<const int> CallsOfSockets();

/// Threads, and processes that share no more than fork(2) lets them.
void AllowClone(SystemCallFilter& filter, std::uint64_t flags);

/// Allows this request, whatever the size of its structure.
void AllowControl(SystemCallFilter& filter, const IoctlRequest& request);

/// isatty(3), which stdio asks: there is none.
void RefuseTerminals(SystemCallFilter& filter);

/// SIGKILL, and the question whether there is such a process, by this system call.
void AllowKilling(SystemCallFilter& filter, int call);

}  // namespace obit
