#include "server/analysis_queue.h"

#include <algorithm>
#include <functional>
#include <optional>

#include <sys/stat.h>

#include "base/log.h"
#include "server/helper.h"

namespace obit {
namespace {

constexpr int kNiceness = 10;  // captures and all else of the host come first

// At the start of the server.
constexpr std::size_t kDaysLookedAt = 3, kCrashesLookedAt = 2000, kOldMax = 256;

/// When the core of a crash was written, ns since 1970, if it has one and no report.
std::optional<std::int64_t> UnanalysedSince(const Store& store, const CrashLocation& crash) {
  struct stat status{};
  const auto core = store.OpenFile(crash, kCoreFile);
  if (!core || ::fstat(core->get(), &status) < 0 || store.OpenFile(crash, kReportFile)) return std::nullopt;
  return status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec;
}

}  // namespace

AnalysisQueue::AnalysisQueue(EventLoop& loop, const Store& store, std::string program, const Config& config,
                             std::function<void(const CrashLocation&, const Report&)> stored)
    : loop_(loop), store_(store), program_(std::move(program)), config_(config), stored_(std::move(stored)) {}

AnalysisQueue::~AnalysisQueue() = default;

void AnalysisQueue::Reconfigure(const Config& config) {
  config_ = config;
  if (!enabled()) {
    waiting_.clear();
    old_.clear();
    to_fetch_.clear();
    holding_ = 0;
  }
  StartWaiting();
}

bool AnalysisQueue::WantsMappedFiles() const { return enabled() && holding_ < kHoldingMax; }

void AnalysisQueue::Add(CrashLocation crash, std::vector<MappedFile> mapped) {
  if (!enabled()) return;
  if (waiting_.size() >= kWaitingMax) {
    if (!full_)
      Log(Severity::kWarning, "too many crashes wait for their analysis: obit analyze --all does the rest");
    full_ = true;
    ++dropped_;
    return;
  }
  if (!WantsMappedFiles()) mapped.clear();
  if (!mapped.empty()) ++holding_;
  waiting_.push_back({std::move(crash), std::move(mapped)});
  StartWaiting();
}

void AnalysisQueue::AddUnanalysed() {
  auto days = store_.Days();
  if (!enabled() || !days) return;
  std::vector<std::pair<std::int64_t, CrashLocation>> found;
  std::size_t left = kCrashesLookedAt;
  for (std::size_t i = 0; i < std::min(days->size(), kDaysLookedAt); ++i) {
    auto crashes = store_.CrashesOf((*days)[days->size() - 1 - i]);
    if (!crashes) continue;
    for (CrashLocation& crash : *crashes) {
      if (left == 0) break;
      --left;
      if (const auto since = UnanalysedSince(store_, crash)) found.emplace_back(*since, std::move(crash));
    }
  }
  std::ranges::sort(found, std::greater());
  if (found.size() > kOldMax) found.resize(kOldMax);
  for (auto& [since, crash] : found) old_.push_back(std::move(crash));
  StartWaiting();
}

void AnalysisQueue::Hold(bool held) {
  held_ = held;
  if (!held_) StartWaiting();
}

void AnalysisQueue::Stop() {
  stopped_ = true;
  waiting_.clear();
  old_.clear();
  running_.clear();
  to_fetch_.clear();
  fetcher_.reset();
}

void AnalysisQueue::StartWaiting() {
  while (enabled() && !held_ && running_.size() < config_.analysis_slots) {
    if (!waiting_.empty()) {
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      if (!next.mapped.empty()) --holding_;
      full_ = false;
      Start(std::move(next));
    } else if (!old_.empty()) {
      Waiting next{std::move(old_.front()), {}};
      old_.pop_front();
      Start(std::move(next));
    } else {
      return;
    }
  }
}

void AnalysisQueue::Start(Waiting waiting) {
  auto files = OpenForAnalysis(store_, waiting.crash);
  if (!files && files.error().code == ENOENT) return;  // it was removed
  const auto running = running_.insert(running_.end(), {waiting.crash, nullptr, waiting.fetched});
  const auto started = [&]() -> Result<void> {
    if (!files) return std::unexpected(files.error());
    files->mapped = std::move(waiting.mapped);
    running->process = OBIT_TRY(AnalyzerProcess::Start(
        loop_,
        {.program = program_,
         .timeout = config_.analysis_timeout,
         .niceness = kNiceness,
         .debuginfod_cache = config_.debuginfod_urls.empty() ? "" : config_.debuginfod_cache,
         .environment = config_.environment},
        *files, [this, running](const Report& report) { OnDone(running, report); }));
    return {};
  }();
  if (started) return;
  running_.erase(running);
  Log(Severity::kError, "{} is not analysed: {}", waiting.crash.id, started.error().what);
}

void AnalysisQueue::OnDone(std::list<Running>::iterator running, const Report& report) {
  const CrashLocation crash = running->crash;
  const bool fetched = running->fetched;
  running_.erase(running);
  const auto written = store_.WriteReport(crash, report);
  if (written) {
    stored_(crash, report);
    if (!fetched) Fetch(crash, report);
  } else if (written.error().code != ENOENT) {
    Log(Severity::kError, "no report: {}", written.error().what);
  }
  StartWaiting();
}

/// The report is there; it can get better.
void AnalysisQueue::Fetch(const CrashLocation& crash, const Report& report) {
  if (config_.debuginfod_urls.empty() || to_fetch_.size() >= kToFetchMax) return;
  auto missing = MissingDebugInformation(report);
  if (missing.empty()) return;
  to_fetch_.push_back({crash, std::move(missing)});
  StartFetching();
}

void AnalysisQueue::StartFetching() {
  if (fetcher_ || to_fetch_.empty()) return;
  const ToFetch next = std::move(to_fetch_.front());
  to_fetch_.pop_front();
  auto started = [&]() -> Result<std::unique_ptr<ChildProcess>> {
    const FetcherOptions options{.program = OBIT_TRY(FindHelper("obit-debuginfod")),
                                 .urls = config_.debuginfod_urls,
                                 .cache = config_.debuginfod_cache};
    return StartFetcher(loop_, options, next.build_ids,
                        [this, crash = next.crash](bool any) { OnFetched(crash, any); });
  }();
  if (started)
    fetcher_ = std::move(*started);
  else
    Log(Severity::kWarning, "no debug information is fetched: {}", started.error().what);
}

void AnalysisQueue::OnFetched(const CrashLocation& crash, bool any) {
  fetcher_.reset();
  StartFetching();
  if (!any || !enabled() || waiting_.size() >= kWaitingMax) return;
  waiting_.push_back({crash, {}, /*fetched=*/true});
  StartWaiting();
}

}  // namespace obit
