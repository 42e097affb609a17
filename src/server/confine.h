#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace obit {

// What obitd's processes give up for good, each before it sees anything hostile. docs/security-model.md says
// what is left to each. Children inherit what their parent gave up, so the supervisor keeps, but does not
// use, what one of them needs: they are forked by it, and each takes its own.

/// The supervisor: no capability in effect, and none of the system calls that change the system. What its
/// grandchildren, analyses and hooks, may want is allowed, to start programs too.
[[nodiscard]] Result<void> ConfineSupervisor();

/// The manager: CAP_KILL, and no system call that could wait for a file or a disk: it never opens, reads or
/// writes one. No Landlock: it would not let it signal the processes of others.
[[nodiscard]] Result<void> ConfineManager();

/// An inspector: the capabilities to look into processes, files for reading. Landlock is not for it: a
/// process that it restricts may not look into others, whatever its capabilities (security/landlock/task.c).
/// What openat2(2) asks for, no filter can see: it opens what obitd's user may, but cannot write to it.
[[nodiscard]] Result<void> ConfineInspector();

/// A capture worker: no capability, no file but what it was given and what it makes below `incoming`, bounded
/// memory, few system calls.
[[nodiscard]] Result<void> ConfineWorker(const Fd& incoming);

/// A pump: it moves bytes between descriptors that it was given, unseen.
[[nodiscard]] Result<void> ConfinePump();

/// The clerk: no capability, files written only below the folder `store`, local sockets only. Programs are
/// started by a Launcher that was forked before.
[[nodiscard]] Result<void> ConfineClerk(const Fd& store);

}  // namespace obit
