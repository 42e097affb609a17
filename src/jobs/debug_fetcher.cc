#include "jobs/debug_fetcher.h"

#include <chrono>
#include <set>

namespace obit {
namespace {

constexpr std::size_t kBuildIdsMax = 64;
constexpr std::chrono::seconds kTimeout{600};

}  // namespace

std::vector<std::string> MissingDebugInformation(const Report& report) {
  std::set<std::uint32_t> seen;
  std::vector<std::string> ids;
  for (const Stack& stack : report.stacks)
    for (const Frame& frame : stack.frames) {
      if (!frame.module || !seen.insert(*frame.module).second || ids.size() >= kBuildIdsMax) continue;
      const Module& module = report.modules[*frame.module];
      if (!module.lines && !module.build_id.empty()) ids.push_back(module.build_id);
    }
  return ids;
}

Result<std::unique_ptr<ChildProcess>> StartFetcher(EventLoop& loop, const FetcherOptions& options,
                                                   const std::vector<std::string>& build_ids,
                                                   std::function<void(bool)> done, UndeadChildren* undead) {
  Command command(options.program);
  command.Add(options.urls);
  command.Add(options.cache);
  for (const std::string& id : build_ids) command.Add(id);
  return ChildProcess::Start(
      loop, std::move(command), kTimeout,
      [done = std::move(done)](const ChildProcess::End& end) { done(end.failure.empty()); }, undead);
}

Result<bool> FetchAndWait(const FetcherOptions& options, const std::vector<std::string>& build_ids) {
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  bool fetched = false;
  const auto fetcher = OBIT_TRY(StartFetcher(loop, options, build_ids, [&](bool any) {
    fetched = any;
    loop.Stop();
  }));
  OBIT_TRY(loop.Run());
  return fetched;
}

}  // namespace obit
