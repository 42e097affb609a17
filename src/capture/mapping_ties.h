#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "kernel/mappings.h"
#include "kernel/memory_ties.h"

namespace obit {

/// What the mappings of a crashed process mean for others, if its memory is kept beyond its end.
struct MappingTies {
  /// What they tie up, in words for people: the file of a lock, a device, huge pages, memory of System V.
  /// Empty: nothing.
  std::string tied;
  /// Memory that others may write to when it is gone, and that is no file's: [begin, end), addresses.
  struct Range {
    std::uint64_t begin = 0, end = 0;
    bool is_memory = false;  ///< of this host (memfd_create(2), MAP_ANONYMOUS): reading it waits for nobody
  };
  std::vector<Range> shared;
};

/// `pid` is the process; `memory_device` is that of memory which is a file without a name on a file system
/// (MemoryDevice).
[[nodiscard]] MappingTies FindMappingTies(const std::vector<Mapping>& mappings, const MemoryTies& ties,
                                          dev_t memory_device, pid_t pid);
/// The device of memory that memfd_create(2) makes, which is also that of shared anonymous memory (shm_mnt of
/// mm/shmem.c). 0: it cannot be told.
[[nodiscard]] dev_t MemoryDevice();

}  // namespace obit
