#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// A file of which a process has mapped code: its program or a library.
struct MappedFile {
  std::uint64_t begin = 0;  ///< an address of one of its mappings
  Fd file;                  ///< open for reading
};

/// Files that are opened of one process, at most.
inline constexpr std::size_t kMappedFilesMax = 512;

/// Opens each file of which a process has an executable mapping, whatever became of its name: by
/// /proc/TID/map_files, or without the right to that (CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN) by its path,
/// if device and inode are the same. No file system is asked that might not answer: what cannot be had so is
/// left out, for whoever reads it would have to wait. `dir` is /proc/TID of one of its threads. The caller
/// holds a pidfd and checks it after the call. Fails if the mappings cannot be read.
[[nodiscard]] Result<std::vector<MappedFile>> OpenMappedFiles(const Fd& dir);

}  // namespace obit
