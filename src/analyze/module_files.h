#pragma once

#include <cstdint>
#include <vector>

#include "analyze/analyze.h"
#include "analyze/core_image.h"
#include "base/fd.h"
#include "crash/report.h"

namespace obit {

/// A program or library as it was mapped, and the files that tell about it.
struct ModuleFiles {
  Module module;
  std::uint64_t base = 0;  ///< where the beginning of its file is mapped
  struct Range {
    std::uint64_t begin, end, offset;
  };
  std::vector<Range> ranges;
  Fd file;       ///< what was mapped; empty: not found
  Fd debug;      ///< its separate debug information
  Fd alternate;  ///< what several debug files share (dwz)
};

/// The modules of a core in the order of their addresses, each with the files there are: those that were
/// opened while the process was there, then those of the same name or build-id on this host. Never a file of
/// another build.
[[nodiscard]] std::vector<ModuleFiles> FindModuleFiles(CoreImage& image, AnalysisJob& job);

}  // namespace obit
