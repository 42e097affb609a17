#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// What ties the memory of a crashed process to others: as long as the memory is there, so is what it has of
/// them, even if the process is gone (MemoryHold).
struct MemoryTies {
  /// An inode that somebody on this host holds a lock on that belongs to an open file, and so to a mapping of
  /// it: flock(2), F_OFD_SETLK or F_SETLEASE of fcntl(2). Others cannot have the lock before the file is
  /// closed.
  struct LockedFile {
    std::uint32_t device_major = 0, device_minor = 0;
    std::uint64_t inode = 0;
    bool operator==(const LockedFile&) const = default;
  };
  std::vector<LockedFile> locked;
  /// Addresses of what get_robust_list(2) gives, of all threads that have one: at their end the kernel writes
  /// to each mutex that they hold, and to one that they wait for.
  std::vector<std::uint64_t> robust_lists;
  /// Why it cannot be told, or is known to be shared with a process that lives on; empty: neither.
  std::string hold;

  static constexpr std::size_t kLockedMax = 1024, kThreadsMax = 1024, kRelativesMax = 1024;
};

/// Those of the process `pid`, whose parent is `parent`; `proc` is a descriptor of /proc. The caller holds a
/// pidfd and checks it after the call. Needs CAP_SYS_PTRACE of a process of another user. Waits for nobody.
[[nodiscard]] MemoryTies ReadMemoryTies(const Fd& proc, pid_t pid, pid_t parent);

/// The locks of /proc/locks (proc_locks(5)) that belong to open files; each inode once.
[[nodiscard]] std::vector<MemoryTies::LockedFile> ParseLocks(std::string_view text);

}  // namespace obit
