#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "crash/report.h"
#include "server/event_loop.h"

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

/// One run of obit-debuginfod: it asks the servers, and what they have is in the cache then.
class DebugFetcher {
 public:
  /// After that it is killed: servers can be slow, and debug information large.
  static constexpr std::chrono::seconds kTimeout{600};

  /// `done` is called once, on the loop, with true if anything was fetched; it may drop the fetcher.
  [[nodiscard]] static Result<std::unique_ptr<DebugFetcher>> Start(EventLoop& loop,
                                                                   const FetcherOptions& options,
                                                                   const std::vector<std::string>& build_ids,
                                                                   std::function<void(bool)> done);
  /// Kills it if it still runs.
  ~DebugFetcher();
  DebugFetcher(DebugFetcher&&) = delete;

 private:
  DebugFetcher() = default;

  std::function<void(bool)> done_;
  pid_t pid_ = -1;
  EventSource death_, deadline_;
};

/// The same, and waits for it.
[[nodiscard]] Result<bool> FetchAndWait(const FetcherOptions& options,
                                        const std::vector<std::string>& build_ids);

}  // namespace obit
