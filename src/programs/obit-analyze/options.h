#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/environment.h"

namespace obit {

/// The command line of obit-analyze. Its files are inherited descriptors.
struct AnalyzeOptions {
  Fd core, record, exe, report;
  Fd mapped;  ///< a bag (kernel/bag_item.h)
  std::vector<std::string> debug_directories;
  std::string debuginfod_cache;
  EnvironmentKept environment = EnvironmentKept::kAllowList;
};

/// EINVAL: wrong usage. What else is open is closed, but for standard input, output and error.
[[nodiscard]] Result<AnalyzeOptions> TakeOptions(int argc, char** argv);

}  // namespace obit
