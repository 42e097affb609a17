#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/environment.h"

namespace obit {

/// The command line of obit-analyze. Its files are inherited descriptors.
struct AnalyzeOptions {
  Fd core, record, exe, report;
  struct Module {
    std::uint64_t begin = 0;
    Fd file;
  };
  std::vector<Module> modules;
  std::vector<std::string> debug_directories;
  std::string debuginfod_cache;
  EnvironmentKept environment = EnvironmentKept::kAllowList;
};

/// EINVAL: wrong usage. What else is open is closed, but for standard input, output and error.
[[nodiscard]] Result<AnalyzeOptions> TakeOptions(int argc, char** argv);

}  // namespace obit
