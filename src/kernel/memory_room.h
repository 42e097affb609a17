#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/fd.h"

namespace obit {

// How much memory can still be had beside what there is, bytes; UINT64_MAX: nothing limits that. Nothing: it
// cannot be told. These are counts of the kernel's own: reading them waits for nobody.

/// Until the limit of the cgroup, or of one of those that it lies in, of a process. `cgroups` is a descriptor
/// of /sys/fs/cgroup, `told` what /proc/PID/cgroup says (cgroups(7)); of version 1 and of version 2.
[[nodiscard]] std::optional<std::uint64_t> RoomInCgroup(const Fd& cgroups, std::string_view told);

/// Until the commit limit, where the kernel lets nobody have more than that (vm.overcommit_memory 2). `proc`:
/// a descriptor of /proc.
[[nodiscard]] std::optional<std::uint64_t> RoomToCommit(const Fd& proc);

}  // namespace obit
