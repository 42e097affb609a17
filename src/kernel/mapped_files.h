#pragma once

#include <cstdint>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// A file of which a process has mapped code: its program or a library.
struct MappedFile {
  std::uint64_t begin = 0;  ///< an address of one of its mappings
  Fd file;                  ///< open for reading; or O_PATH, if its file system might not answer
};

/// Files that are opened of one process, at most.
inline constexpr std::size_t kMappedFilesMax = 512;

/// Opens each file of which the process `pid` has an executable mapping, whatever became of its name: by
/// /proc/PID/map_files, or without the right to that (CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN) by its path,
/// if device and inode are the same. No file system is asked that might not answer: what cannot be had so is
/// left out. `proc` is a descriptor of /proc. The caller holds a pidfd and checks it after the call. Fails if
/// the mappings cannot be read.
[[nodiscard]] Result<std::vector<MappedFile>> OpenMappedFiles(const Fd& proc, pid_t pid);

}  // namespace obit
