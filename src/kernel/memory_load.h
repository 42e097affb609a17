#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/fd.h"
#include "base/memory_load.h"

namespace obit {

/// The line "some" of /proc/pressure/memory and what /proc/meminfo says; what is not there is not known. Both
/// are the kernel's own counts: reading them waits for nobody. `proc`: a descriptor of /proc.
[[nodiscard]] MemoryLoad ReadMemoryLoad(const Fd& proc);
/// The same of their texts.
[[nodiscard]] MemoryLoad ParseMemoryLoad(std::string_view pressure, std::string_view meminfo);

/// What a line of /proc/meminfo says, "MemAvailable:", bytes. Nothing: there is none.
[[nodiscard]] std::optional<std::uint64_t> MeminfoBytes(std::string_view meminfo, std::string_view key);

}  // namespace obit
