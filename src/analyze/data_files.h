#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyze/core_image.h"
#include "crash/record.h"

namespace obit {

/// A file that the process had mapped, as it is now.
struct DataFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::int64_t modified = 0;  ///< ns since 1970
  bool certain = true;        ///< the name is that of the process, too: it had the same mount namespace
  enum class On { kDisk, kMemory, kHugePages } on = On::kDisk;  ///< the kind of its file system
};

/// Looks up the mapped files by their names, where the process may have died for one of them: of SIGBUS, or
/// of a signal that it sent to itself, behind a handler. At most kDataFilesMax, without opening any. What is
/// of another root, or gone, is left out.
[[nodiscard]] std::vector<DataFile> FindDataFiles(const CoreImage& image, const CrashRecord& record);
inline constexpr std::size_t kDataFilesMax = 256;

}  // namespace obit
