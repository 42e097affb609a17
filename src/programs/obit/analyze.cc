#include <cerrno>
#include <chrono>

#include "base/log.h"
#include "base/text.h"
#include "common.h"
#include "server/analyzer_process.h"
#include "server/helper.h"
#include "store/index.h"
#include "store/selector.h"
#include "stored_file.h"
#include "verbs.h"

namespace obit {
namespace {

/// Whoever calls it waits, and may have patience for a program with gigabytes of debug information.
constexpr std::chrono::seconds kTimeout{600};

/// Analyses one crash and puts the report in its folder.
Result<Report> Renew(const Store& store, const CrashLocation& crash, const AnalyzerOptions& options) {
  const AnalyzerFiles files = OBIT_TRY(OpenForAnalysis(store, crash));
  Report report = OBIT_TRY(AnalyzeAndWait(options, files));
  OBIT_TRY(store.WriteReport(crash, report));
  // Only a cache: what cannot be written there is read from the folders.
  if (auto index = Index::Open(store)) (void)index->Refresh(store, crash.day);
  return report;
}

ExitCode Tell(const CrashSummary& crash, const Result<Report>& report) {
  if (!report) return Failed(report.error());
  const std::string& cause = report->cause.sentence;
  if (!report->failure.empty()) {
    const Error failure{EIO, fmt::format("{}: {}", ShortName(crash), report->failure)};
    if (cause.empty()) return Failed(failure);
    Log(Severity::kWarning, "{}", failure.what);
  }
  Print(fmt::format("{}  {}\n", EscapeForTerminal(ShortName(crash)),
                    cause.empty() ? "the cause is not known" : EscapeForTerminal(cause)));
  return ExitCode::kDone;
}

/// True if an analysis by this obit would say more than what there is.
bool IsDue(const Store& store, const CrashSummary& crash) {
  if (crash.core_bytes == 0) return false;
  const auto report = store.LoadReport(crash.location);
  if (!report) return report.error().code != EPROTONOSUPPORT;  // a newer obit knew better
  return report->fingerprint.version < Report::Fingerprint::kVersion;
}

ExitCode AnalyzeAll(const std::string& store_path, const AnalyzerOptions& options) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  const auto list = ListStore(*store);
  if (!list) return list.error();
  ExitCode code = ExitCode::kDone;
  for (const CrashSummary& crash : list->crashes) {
    if (!IsDue(*store, crash)) continue;
    const ExitCode told = Tell(crash, Renew(*store, crash.location, options));
    if (told != ExitCode::kDone) code = told;
  }
  return code;
}

}  // namespace

ExitCode Analyze(const std::string& store_path, const AnalyzeOptions& options) {
  auto program = FindHelper("obit-analyze");
  if (!program) return Failed(program.error());
  const AnalyzerOptions analyzer{
      .program = std::move(*program), .timeout = kTimeout, .debug_directories = options.debug_directories};
  if (options.all) return AnalyzeAll(store_path, analyzer);
  const auto crash = ChooseCrash(store_path, options.selector, "analysing", "analyze");
  if (!crash) return crash.error();
  if (const auto has_core = CheckHasCore(*crash); !has_core) return Failed(has_core.error());
  return Tell(Summarize(crash->location, crash->record), Renew(crash->store, crash->location, analyzer));
}

}  // namespace obit
