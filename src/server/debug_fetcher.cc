#include "server/debug_fetcher.h"

#include <csignal>
#include <set>

#include <sys/wait.h>

#include "base/io.h"
#include "server/command.h"

namespace obit {
namespace {

constexpr std::size_t kBuildIdsMax = 64;

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

Result<std::unique_ptr<DebugFetcher>> DebugFetcher::Start(EventLoop& loop, const FetcherOptions& options,
                                                          const std::vector<std::string>& build_ids,
                                                          std::function<void(bool)> done) {
  Command command(options.program);
  command.Add(options.urls);
  command.Add(options.cache);
  for (const std::string& id : build_ids) command.Add(id);
  const Fd nowhere = OBIT_TRY(Open("/dev/null", O_WRONLY));
  std::unique_ptr<DebugFetcher> fetcher(new DebugFetcher());
  fetcher->done_ = std::move(done);
  fetcher->pid_ = OBIT_TRY(command.Start(nowhere));
  fetcher->death_ = OBIT_TRY(loop.OnChild(fetcher->pid_, [self = fetcher.get()](int status) {
    self->pid_ = -1;
    self->deadline_ = EventSource();
    const auto tell = self->done_;  // by copy: it may drop this object
    tell(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }));
  fetcher->deadline_ = OBIT_TRY(
      loop.After(kTimeout, [self = fetcher.get()] { ::kill(self->pid_, SIGKILL); }));  // its death is the end
  return fetcher;
}

DebugFetcher::~DebugFetcher() {
  death_ = EventSource();  // it would reap too
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<bool> FetchAndWait(const FetcherOptions& options, const std::vector<std::string>& build_ids) {
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  bool fetched = false;
  const auto fetcher = OBIT_TRY(DebugFetcher::Start(loop, options, build_ids, [&](bool any) {
    fetched = any;
    loop.Stop();
  }));
  OBIT_TRY(loop.Run());
  return fetched;
}

}  // namespace obit
