#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "base/log.h"
#include "base/text.h"
#include "catalog/index.h"
#include "catalog/selector.h"
#include "common.h"
#include "jobs/analyzer_process.h"
#include "jobs/debug_fetcher.h"
#include "present/cause_sentence.h"
#include "process/helper.h"
#include "store/access.h"
#include "stored_file.h"
#include "verbs.h"

namespace obit {
namespace {

/// Whoever calls it waits, and may have patience for a program with gigabytes of debug information.
constexpr std::chrono::seconds kTimeout{600};

/// How all crashes of one call are analysed.
struct Means {
  AnalyzerOptions analyzer;
  FetcherOptions fetcher;                      ///< without `program`: nothing is fetched
  std::optional<EnvironmentKept> environment;  ///< that was asked for
};

/// Where libdebuginfod keeps what it fetches (debuginfod_find_debuginfo(3)).
std::string DebuginfodCache() {
  const auto of = [](const char* variable) -> std::string {
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
  };
  if (auto path = of("DEBUGINFOD_CACHE_PATH"); !path.empty()) return path;
  if (const auto path = of("XDG_CACHE_HOME"); !path.empty()) return path + "/debuginfod_client";
  const std::string home = of("HOME");
  return home.empty() ? "" : home + "/.cache/debuginfod_client";
}

Result<Means> FindMeans(const AnalyzeOptions& options) {
  Means means;
  means.analyzer = {.program = OBIT_TRY(FindHelper("obit-analyze")),
                    .timeout = kTimeout,
                    .debug_directories = options.debug_directories,
                    .debuginfod_cache = DebuginfodCache()};
  means.environment = EnvironmentKeptNamed(options.environment);
  if (!options.fetch) return means;
  const char* urls = std::getenv("DEBUGINFOD_URLS");
  if (urls == nullptr || *urls == '\0')
    return Refuse(EINVAL, "--debuginfod: DEBUGINFOD_URLS names no server");
  if (means.analyzer.debuginfod_cache.empty()) return Refuse(EINVAL, "--debuginfod: HOME is not set");
  means.fetcher = {.program = OBIT_TRY(FindHelper("obit-debuginfod")),
                   .urls = urls,
                   .cache = means.analyzer.debuginfod_cache};
  return means;
}

/// Analyses one crash and puts the report in its folder. `owner` is OwnerOf its record.
Result<Report> Renew(const Store& store, const CrashLocation& crash, CrashOwner owner,
                     const CrashHandling& handling, const Means& means) {
  const AnalyzerFiles files = OBIT_TRY(OpenForAnalysis(store, crash));
  AnalyzerOptions analyzer = means.analyzer;
  analyzer.environment =
      means.environment.value_or(handling.environment.value_or(EnvironmentKept::kAllowList));
  Report report = OBIT_TRY(AnalyzeAndWait(analyzer, files));
  if (const auto missing = MissingDebugInformation(report);
      !means.fetcher.program.empty() && !missing.empty())
    if (OBIT_TRY(FetchAndWait(means.fetcher, missing))) report = OBIT_TRY(AnalyzeAndWait(analyzer, files));
  OBIT_TRY(store.WriteReport(crash, report, owner));
  // Only a cache: what cannot be written there is read from the folders.
  if (auto index = Index::Open(store)) (void)index->Add(store, std::span(&crash, 1));
  return report;
}

ExitCode Tell(const CrashSummary& crash, const Result<Report>& report) {
  if (!report) return Failed(report.error());
  const std::string cause = CauseSentence(report->cause);
  if (!report->failure.empty()) {
    const Error failure{EIO, fmt::format("{}: {}", ShortName(crash), report->failure)};
    if (cause.empty()) return Failed(failure);
    Log(Severity::kWarning, "{}", failure.what);
  }
  Print(fmt::format("{}  {}\n", EscapeForTerminal(ShortName(crash)),
                    cause.empty() ? "the cause is not known" : EscapeControls(cause)));
  return ExitCode::kDone;
}

/// True if an analysis by this obit would say more than what there is.
bool IsDue(const Store& store, const CrashSummary& crash) {
  // Where a worker did not finish its core, nobody may know more than what is stored of it.
  if (!crash.has_core()) return false;
  const auto report = store.LoadReportAsWritten(crash.location);
  if (!report) return report.error().code != EPROTONOSUPPORT;  // a newer obit knew better
  return report->schema < Report::kSchema || report->fingerprint.version < Report::Fingerprint::kVersion;
}

ExitCode AnalyzeAll(const std::string& store_path, const Means& means) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  const auto list = ListStore(*store);
  if (!list) return list.error();
  ExitCode code = ExitCode::kDone;
  for (const CrashSummary& crash : list->crashes) {
    if (!IsDue(*store, crash)) continue;
    const auto record = store->Load(crash.location);
    const ExitCode told = Tell(crash, Renew(*store, crash.location, record ? OwnerOf(*record) : std::nullopt,
                                            record ? record->capture.handling : CrashHandling(), means));
    if (told != ExitCode::kDone) code = told;
  }
  return code;
}

}  // namespace

ExitCode Analyze(const std::string& store_path, const AnalyzeOptions& options) {
  const auto means = FindMeans(options);
  if (!means) return Failed(means.error());
  if (options.all) return AnalyzeAll(store_path, *means);
  const auto crash = ChooseCrash(store_path, options.selector, "analysing", "analyze");
  if (!crash) return crash.error();
  if (const auto has_core = CheckHasCore(*crash); !has_core) return Failed(has_core.error());
  return Tell(
      Summarize(crash->location, crash->record),
      Renew(crash->store, crash->location, OwnerOf(crash->record), crash->record.capture.handling, *means));
}

}  // namespace obit
