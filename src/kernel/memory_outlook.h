#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/fd.h"
#include "base/memory_load.h"
#include "kernel/memory_ties.h"

namespace obit {

/// What is asked before the memory of a crashed process is kept beyond its end (MemoryHold): what that would
/// tie up with it, and whether others find as much memory again.
struct MemoryOutlook {
  MemoryTies ties;
  MemoryLoad host;
  std::optional<std::uint64_t> room_in_cgroup, room_to_commit;  ///< memory_room.h
  /// /proc/meminfo and /proc/pressure/memory, open: who keeps memory sees when others want it (MemoryWatch).
  /// The second one is empty where the kernel has none.
  Fd meminfo, pressure;
};

/// Where it is asked.
struct MemoryOutlookFiles {
  const Fd& proc;     ///< /proc
  const Fd& cgroups;  ///< /sys/fs/cgroup; may be empty
  const Fd& process;  ///< /proc/TID of a thread of the process
};
/// The caller holds a pidfd and checks it after the call. Waits for nobody; needs what ReadMemoryTies needs.
[[nodiscard]] MemoryOutlook ReadMemoryOutlook(const MemoryOutlookFiles& files, pid_t pid, pid_t parent);

/// Without its descriptors, for one message between processes.
[[nodiscard]] std::string EncodeMemoryOutlook(const MemoryOutlook& outlook);
/// Nothing: that is none.
[[nodiscard]] std::optional<MemoryOutlook> DecodeMemoryOutlook(std::span<const std::byte> bytes);
inline constexpr std::size_t kEncodedOutlookMax = std::size_t{32} << 10;  ///< bytes

/// Sees when memory becomes short.
class MemoryWatch {
 public:
  /// Those of MemoryOutlook, which outlive this object.
  MemoryWatch(const Fd& meminfo, const Fd& pressure);
  /// Looks. A twentieth of all memory can still be had, or less; or a fifth, and for a second somebody waited
  /// for memory a tenth of the time: who waits within the limit of a cgroup, which anybody may set, counts
  /// only where the host has little itself. `now`: CLOCK_MONOTONIC, ns.
  [[nodiscard]] bool IsShort(std::int64_t now);

 private:
  const Fd& meminfo_;
  const Fd& pressure_;
  std::optional<std::uint64_t> waited_;  // by whoever, us, until
  std::int64_t looked_ = 0;
};

/// "some ... total=" of /proc/pressure/memory, us.
[[nodiscard]] std::optional<std::uint64_t> ParsePressureTotal(std::string_view pressure);

}  // namespace obit
