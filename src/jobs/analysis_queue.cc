#include "jobs/analysis_queue.h"

#include <algorithm>
#include <functional>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file_time.h"
#include "base/log.h"
#include "jobs/niceness.h"
#include "kernel/bag.h"
#include "process/helper.h"

namespace obit {
namespace {

// At the start of the server.
constexpr std::size_t kDaysLookedAt = 3, kNamesLookedAt = 20'000, kCrashesLookedAt = 2000;

/// When the core of a crash was written, ns since 1970, if it has one and no report.
std::optional<std::int64_t> UnanalysedSince(const Store& store, const CrashLocation& crash) {
  struct stat status{};
  if (store.OpenFile(crash, kReportFile)) return std::nullopt;
  const auto core = store.OpenFile(crash, kCoreFile);
  if (!core || ::fstat(core->get(), &status) < 0) return std::nullopt;
  return NanosecondsOf(status.st_mtim);
}

/// Who put it there reads cores: a file that is not in memory could make this process wait. Its seals are
/// asked for without its file system, and nothing else has any.
bool IsTrace(const Fd& file) {
  struct stat status{};
  return file && ::fcntl(file.get(), F_GET_SEALS) >= 0 && ::fstat(file.get(), &status) == 0 &&
         status.st_size > 0 && status.st_size <= AnalysisQueue::kTraceBytesMax;
}

}  // namespace

AnalysisQueue::AnalysisQueue(EventLoop& loop, const Store& store, UndeadChildren& undead, std::string program,
                             const Config& config, Stored stored)
    : loop_(loop),
      store_(store),
      undead_(undead),
      program_(std::move(program)),
      config_(config),
      stored_(std::move(stored)) {
  undead_.OnDeath([this] {
    StartWaiting();
    StartFetching();
  });
}

AnalysisQueue::~AnalysisQueue() = default;

void AnalysisQueue::Reconfigure(const Config& config) {
  config_ = config;
  DropUnwanted();
  StartWaiting();
}

bool AnalysisQueue::enabled() const {
  const auto wants = [](const Rule& rule) { return rule.analyze.value_or(false); };
  return (config_.analyze || std::ranges::any_of(config_.rules, wants)) && !program_.empty() && !stopped_;
}

/// As its rule said when it came.
bool AnalysisQueue::Wants(const CrashHandling& handling) const {
  return handling.analyze.value_or(config_.analyze) && !program_.empty() && !stopped_;
}

void AnalysisQueue::DropUnwanted() {
  const auto wanted = [this](const auto& job) { return Wants(job.handling); };
  for (const Waiting& dropped : waiting_.KeepOnly(wanted)) {
    Dequeued(dropped);
    if (dropped.trace) --traces_;
  }
  (void)old_.KeepOnly(wanted);
  (void)to_fetch_.KeepOnly(wanted);
}

/// A file that a process had mapped can be of what analyzers wait for.
bool AnalysisQueue::WantsMappedFiles() const {
  return enabled() && holding_ < kHoldingMax && undead_.count() < UndeadChildren::kFew;
}

void AnalysisQueue::Add(CrashLocation crash, CrashOwner owner, JobUser user, Fd mapped,
                        const CrashHandling& handling) {
  if (!Wants(handling)) return;
  const auto has = holding_of_.find(user);
  if (!WantsMappedFiles() || (has != holding_of_.end() && has->second >= kHoldingMax / 2)) mapped.Reset();
  Enqueue({std::move(crash), owner, user, handling, std::move(mapped)});
  StartWaiting();
}

std::size_t AnalysisQueue::RoomForTraces() const { return enabled() ? kTracesMax - traces_ : 0; }

void AnalysisQueue::AddTrace(CrashLocation crash, CrashOwner owner, JobUser user, Fd mapped, Fd trace,
                             const CrashHandling& handling) {
  if (RoomForTraces() == 0 || !Wants(handling)) return;
  auto bag = EmptyBag(std::move(trace), MonotonicNow());
  if (!bag || !IsTrace(bag->trace)) return;
  const auto has = holding_of_.find(user);
  if (!WantsMappedFiles() || (has != holding_of_.end() && has->second >= kHoldingMax / 2)) mapped.Reset();
  Enqueue({std::move(crash), owner, user, handling, std::move(mapped), false, std::move(bag->trace)});
  StartWaiting();
}

void AnalysisQueue::Enqueue(Waiting waiting) {
  if (waiting.trace) ++traces_;
  if (waiting.mapped) {
    ++holding_;
    ++holding_of_[waiting.user];
  }
  const JobUser user = waiting.user;
  const auto dropped = waiting_.Add(user, std::move(waiting));
  if (!dropped) return;
  Dequeued(*dropped);
  if (dropped->trace) --traces_;
  if (dropped->fetched) return;  // it has a report
  ++dropped_;
  if (!std::exchange(full_, true))
    Log(Severity::kWarning, "too many crashes wait for their analysis: obit analyze --all does the rest");
}

void AnalysisQueue::Dequeued(const Waiting& waiting) {
  if (!waiting.mapped) return;
  --holding_;
  if (const auto has = holding_of_.find(waiting.user); --has->second == 0) holding_of_.erase(has);
}

void AnalysisQueue::AddUnanalysed() {
  auto days = store_.Days();
  if (program_.empty() || stopped_ || !days) return;
  std::vector<std::pair<std::int64_t, CrashLocation>> found;
  std::size_t names = kNamesLookedAt;
  for (std::size_t i = 0; i < std::min(days->size(), kDaysLookedAt); ++i) {
    auto crashes = store_.CrashesOf((*days)[days->size() - 1 - i]);
    if (!crashes) continue;
    for (CrashLocation& crash : *crashes) {
      if (names == 0 || found.size() == kCrashesLookedAt) break;
      --names;
      if (const auto since = UnanalysedSince(store_, crash)) found.emplace_back(*since, std::move(crash));
    }
  }
  std::ranges::sort(found, std::greater());
  for (auto& [since, crash] : found) {
    const auto record = store_.Load(crash);
    if (!record) continue;  // nobody knows whose report it would be
    const CrashHandling& handling = record->capture.handling;
    if (!Wants(handling)) continue;
    const JobUser user = record->process.uid;
    (void)old_.Add(user, {std::move(crash), OwnerOf(*record), user, handling, Fd()});
  }
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
  traces_ = 0;
  to_fetch_.clear();
  fetcher_.reset();
}

/// Those that wait go on when some have died.
bool AnalysisQueue::TooManyAreUndead() {
  const bool too_many = undead_.count() >= UndeadChildren::kMax;
  if (too_many && !said_undead_)
    Log(Severity::kError, "{} programs were killed and do not die: no core is analysed until some have",
        undead_.count());
  said_undead_ = too_many;
  return too_many;
}

void AnalysisQueue::StartWaiting() {
  while (!stopped_ && !held_ && running_.size() < config_.analysis_slots && !TooManyAreUndead()) {
    if (auto next = waiting_.Take()) {
      Dequeued(*next);
      full_ = false;
      Start(std::move(*next));
    } else if (auto old = old_.Take()) {
      Start(std::move(*old));
    } else {
      return;
    }
  }
}

Result<AnalyzerFiles> AnalysisQueue::FilesOf(Waiting& waiting) const {
  if (!waiting.trace) return OpenForAnalysis(store_, waiting.crash);
  AnalyzerFiles files;
  files.id = waiting.crash.id;
  files.record = OBIT_TRY(store_.OpenFile(waiting.crash, kRecordFile));
  files.core = std::move(waiting.trace);
  return files;
}

void AnalysisQueue::Start(Waiting waiting) {
  const bool is_trace = static_cast<bool>(waiting.trace);
  auto files = FilesOf(waiting);
  if (!files && files.error().code == ENOENT) {  // it was removed
    traces_ -= is_trace ? 1 : 0;
    return;
  }
  const auto running = running_.insert(
      running_.end(),
      {waiting.crash, waiting.owner, waiting.user, waiting.handling, nullptr, waiting.fetched, is_trace});
  const auto started = [&]() -> Result<void> {
    if (!files) return std::unexpected(files.error());
    if (undead_.count() < UndeadChildren::kFew) files->mapped = std::move(waiting.mapped);
    running->process = OBIT_TRY(AnalyzerProcess::Start(
        loop_,
        {.program = program_,
         .timeout = config_.analysis_timeout,
         .niceness = kJobNiceness,
         .debuginfod_cache = config_.debuginfod_urls.empty() ? "" : config_.debuginfod_cache,
         .environment =
             is_trace ? EnvironmentKept::kNone : waiting.handling.environment.value_or(config_.environment),
         .undead = &undead_},
        *files, [this, running](Report report) { OnDone(running, std::move(report)); }));
    return {};
  }();
  if (started) return;
  running_.erase(running);
  traces_ -= is_trace ? 1 : 0;
  Log(Severity::kError, "{} is not analysed: {}", waiting.crash.id, started.error().what);
}

void AnalysisQueue::OnDone(std::list<Running>::iterator running, Report report) {
  const Running analysed = std::move(*running);
  running_.erase(running);
  if (analysed.is_trace) {
    --traces_;
    ForgetMemory(report);
  }
  const auto written = store_.WriteReport(analysed.crash, report, analysed.owner);
  if (written) {
    stored_(analysed.crash, analysed.owner, analysed.user, analysed.handling, report);
    if (!analysed.fetched && !analysed.is_trace) Fetch(analysed, report);
  } else if (written.error().code != ENOENT) {
    Log(Severity::kError, "no report: {}", written.error().what);
  }
  StartWaiting();
}

/// The report is there; it can get better.
void AnalysisQueue::Fetch(const Running& analysed, const Report& report) {
  if (config_.debuginfod_urls.empty()) return;
  auto missing = MissingDebugInformation(report);
  if (missing.empty()) return;
  (void)to_fetch_.Add(analysed.user,
                      {analysed.crash, analysed.owner, analysed.user, analysed.handling, std::move(missing)});
  StartFetching();
}

void AnalysisQueue::StartFetching() {
  if (fetcher_ || undead_.count() >= UndeadChildren::kFew) return;
  const auto taken = to_fetch_.Take();
  if (!taken) return;
  const ToFetch& next = *taken;
  auto started = [&]() -> Result<std::unique_ptr<ChildProcess>> {
    const FetcherOptions options{.program = OBIT_TRY(FindHelper("obit-debuginfod")),
                                 .urls = config_.debuginfod_urls,
                                 .cache = config_.debuginfod_cache};
    return StartFetcher(
        loop_, options, next.build_ids, [this, next](bool any) { OnFetched(next, any); }, &undead_);
  }();
  if (started)
    fetcher_ = std::move(*started);
  else
    Log(Severity::kWarning, "no debug information is fetched: {}", started.error().what);
}

void AnalysisQueue::OnFetched(const ToFetch& fetched, bool any) {
  fetcher_.reset();
  StartFetching();
  if (!any || !Wants(fetched.handling)) return;
  Enqueue({fetched.crash, fetched.owner, fetched.user, fetched.handling, Fd(), /*fetched=*/true});
  StartWaiting();
}

}  // namespace obit
