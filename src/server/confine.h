#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace obit {

// What obitd's processes give up for good, each before it sees anything hostile. docs/security-model.md says
// what is left to each.

/// The manager: system calls only. Landlock is not for it: a process that it restricts may not look into
/// others, whatever its capabilities (security/landlock/task.c). Programs are started by a Spawner that was
/// forked before.
[[nodiscard]] Result<void> ConfineManager();

/// A capture worker: no capability, no file but what it was given and what it makes below `incoming`, bounded
/// memory, few system calls.
[[nodiscard]] Result<void> ConfineWorker(const Fd& incoming);

}  // namespace obit
