#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/environment.h"
#include "crash/report.h"
#include "process/child_process.h"
#include "process/event_loop.h"
#include "store/store.h"

namespace obit {

/// How a core is analysed.
struct AnalyzerOptions {
  std::string program;  ///< obit-analyze
  std::chrono::seconds timeout{60};
  int niceness = 0;                            ///< setpriority(2)
  std::vector<std::string> debug_directories;  ///< besides the usual ones
  std::string debuginfod_cache;                ///< a folder; empty: there is none
  EnvironmentKept environment = EnvironmentKept::kAllowList;
  UndeadChildren* undead = nullptr;  ///< as ChildProcess::Start
};

/// What is analysed.
struct AnalyzerFiles {
  std::string id;        ///< of the crash
  Fd core, record, exe;  ///< core.zst, crash.json, exe.zst; the last may be empty
  /// Files that its process had mapped (BagItem::kMapped): only the analyzer opens it. May be empty.
  Fd mapped;
};
/// The files of a stored crash. ENOENT: it is gone, or has no core.
[[nodiscard]] Result<AnalyzerFiles> OpenForAnalysis(const Store& store, const CrashLocation& crash);

/// One run of obit-analyze: a process that has a hostile core in its hands. Whatever becomes of it, there is
/// a report in the end. If it dies, hangs past the timeout, or writes anything but a report of this crash,
/// then it is one whose `failure` says so.
class AnalyzerProcess {
 public:
  /// `done` is called once, on the loop, and may drop the process. Fails if it cannot be started.
  [[nodiscard]] static Result<std::unique_ptr<AnalyzerProcess>> Start(EventLoop& loop,
                                                                      const AnalyzerOptions& options,
                                                                      const AnalyzerFiles& files,
                                                                      std::function<void(Report)> done);
  AnalyzerProcess(AnalyzerProcess&&) = delete;

 private:
  AnalyzerProcess(std::string id, std::function<void(Report)> done)
      : id_(std::move(id)), done_(std::move(done)) {}
  bool TakeReport();
  void OnEnd(const ChildProcess::End& end);
  [[nodiscard]] Report Outcome(const ChildProcess::End& end) const;

  std::string id_;
  std::function<void(Report)> done_;
  Fd report_;
  EventSource readable_;
  std::unique_ptr<ChildProcess> child_;
  std::int64_t started_ = 0;  // CLOCK_MONOTONIC, ns
  std::string text_;          // of the report
};

/// The same, and waits for it.
[[nodiscard]] Result<Report> AnalyzeAndWait(const AnalyzerOptions& options, const AnalyzerFiles& files);

}  // namespace obit
