#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// One mapping of a process, as /proc/PID/maps or smaps lists it (proc_pid_maps(5), proc_pid_smaps(5)).
struct Mapping {
  std::uint64_t begin = 0, end = 0;  ///< addresses
  bool shared = false, executable = false;
  /// The file system's; major 0: memory (tmpfs, memfd, SysV, hugetlb) or a stacked one.
  std::uint32_t device_major = 0, device_minor = 0;
  std::uint64_t inode = 0;   ///< 0: no file behind it
  std::uint64_t offset = 0;  ///< of its first byte in the file
  /// Path or "[stack]", the first kMappingNameMax bytes; may hold anything, newlines are "\012".
  std::string name;
  /// A missing page is for user space to fill (userfaultfd): reading it waits for that. Known from smaps
  /// only.
  bool user_faults = false;
};

inline constexpr std::size_t kMappingNameMax = 256;

/// Mappings that obit looks at, at most; a process may have vm.max_map_count of them (default 65,530).
inline constexpr std::size_t kMappingsMax = 1 << 18;

/// The whole of maps or smaps, in order of addresses. EBADMSG: a line that is of neither; EFBIG: more than
/// kMappingsMax.
[[nodiscard]] Result<std::vector<Mapping>> ParseMappings(std::string_view text);
/// The same from an open file, in bounded memory; reads from its start.
[[nodiscard]] Result<std::vector<Mapping>> ReadMappings(const Fd& file);

/// The mapping that holds `address`, if one does. `mappings` is ordered.
[[nodiscard]] const Mapping* FindMapping(const std::vector<Mapping>& mappings, std::uint64_t address);

}  // namespace obit
