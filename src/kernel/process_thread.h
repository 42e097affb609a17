#pragma once

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

// A crashed process is looked at through the thread that dumps core. Its first thread may have exited
// (pthread_exit(3) in main): /proc/PID is then that of a zombie, without memory, files and namespaces.
// /proc/TID of the dumping thread has all of them, under the names that /proc/PID has; it can be opened,
// although it is not listed (proc_tid(5)).

/// The thread of the process `pid` that dumps core: mostly its first one, else all are looked at. `pid`
/// itself if none does, or if it cannot be told. `proc` is a descriptor of /proc.
[[nodiscard]] pid_t FindDumpingThread(const Fd& proc, pid_t pid);

/// /proc/TID of a thread of the process `pid`. It stays that thread's, whatever becomes of the number. The
/// caller holds a pidfd of `pid` and checks it afterwards. ENOENT: there is no such thread; ESRCH: it is
/// another process'.
[[nodiscard]] Result<Fd> OpenThread(const Fd& proc, pid_t pid, pid_t tid);

}  // namespace obit
