#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "crash/report.h"
#include "process/child_process.h"
#include "process/event_loop.h"

namespace obit {

/// How debug information is fetched.
struct FetcherOptions {
  std::string program;  ///< obit-debuginfod
  std::string urls;     ///< as in DEBUGINFOD_URLS
  std::string cache;    ///< a folder
};

/// Build-ids of the modules that a report's stacks go through and that it has no source lines of: worth to be
/// asked for. At most 64.
[[nodiscard]] std::vector<std::string> MissingDebugInformation(const Report& report);

/// Starts obit-debuginfod: it asks the servers, and what they have is in the cache then. `done` gets true if
/// anything was fetched. It is killed after ten minutes: servers can be slow, and debug information large.
/// `undead`: as ChildProcess::Start.
[[nodiscard]] Result<std::unique_ptr<ChildProcess>> StartFetcher(EventLoop& loop,
                                                                 const FetcherOptions& options,
                                                                 const std::vector<std::string>& build_ids,
                                                                 std::function<void(bool)> done,
                                                                 UndeadChildren* undead = nullptr);
/// The same, and waits for it.
[[nodiscard]] Result<bool> FetchAndWait(const FetcherOptions& options,
                                        const std::vector<std::string>& build_ids);

}  // namespace obit
