#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/environment.h"
#include "crash/record.h"
#include "crash/report.h"

namespace obit {

/// What one analysis works on. All descriptors can be read at any offset.
struct AnalysisJob {
  CrashRecord record;
  Fd core;  ///< core.zst
  Fd exe;   ///< exe.zst, if there is one
  /// A file that the process had mapped, opened while it was still there: right whatever its name leads to
  /// now.
  struct MappedFile {
    std::uint64_t begin = 0;  ///< an address of one of its mappings
    Fd file;
  };
  std::vector<MappedFile> mapped;
  std::vector<std::string> debug_directories{"/usr/lib/debug"};  ///< with .build-id in them
  std::string debuginfod_cache;  ///< of libdebuginfod: ID/debuginfo for each build-id; empty: there is none
  EnvironmentKept environment = EnvironmentKept::kAllowList;
};

/// A core to threads, frames, cause and fingerprint, in two steps with a jail between them: the first opens
/// files and reads of them and of the core no more than notes and section names, with parsers of this
/// project; the second opens nothing, and gives all of it to libdw.
class Analysis {
 public:
  /// Opens the files of all modules, and their debug files.
  [[nodiscard]] static Result<Analysis> Prepare(AnalysisJob job);
  Analysis(Analysis&&) noexcept;
  ~Analysis();

  /// The rest. Always gives a report: where it got stuck, `failure` says why.
  [[nodiscard]] Report Run();

 private:
  struct State;
  explicit Analysis(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace obit
