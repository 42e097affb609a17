// obit-analyze: reads one core, in a jail, and writes its report. Started by obitd and by obit analyze
// (server/analyzer_process.h).

#include <csignal>
#include <new>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyze/analyze.h"
#include "analyze/jail.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "crash/record_json.h"
#include "crash/report_json.h"
#include "kernel/bag.h"
#include "options.h"

namespace obit {
namespace {

Result<CrashRecord> ReadRecord(const Fd& file) {
  std::string text(kRecordJsonMax + 1, '\0');
  text.resize(OBIT_TRY(ReadFullAt(file, std::as_writable_bytes(std::span(text)), 0)));
  if (text.size() > kRecordJsonMax) return Refuse(EBADMSG, "larger than {} bytes", kRecordJsonMax);
  return RecordFromJson(text);
}

/// What is open for reading already. To open an O_PATH descriptor, or another kind of file, can wait for
/// ever.
bool IsReadable(const Fd& given) {
  struct stat status{};
  return ::fstat(given.get(), &status) == 0 && S_ISREG(status.st_mode) &&
         (::fcntl(given.get(), F_GETFL) & O_PATH) == 0;
}

AnalysisJob MakeJob(AnalyzeOptions& options, std::vector<MappedFile> mapped, CrashRecord record) {
  AnalysisJob job;
  job.record = std::move(record);
  job.core = std::move(options.core);
  job.exe = std::move(options.exe);
  for (auto& module : mapped)
    if (IsReadable(module.file)) job.mapped.push_back({module.begin, std::move(module.file)});
  for (std::string& directory : options.debug_directories)
    job.debug_directories.push_back(std::move(directory));
  job.debuginfod_cache = std::move(options.debuginfod_cache);
  job.environment = options.environment;
  return job;
}

/// Both steps of the analysis, the second in the locked jail.
Result<Report> Analyze(AnalysisJob job) {
  try {
    Analysis analysis = OBIT_TRY(Analysis::Prepare(std::move(job)));
    OBIT_TRY_IN(LockJail(), "lock the jail");
    return analysis.Run();
  } catch (const std::bad_alloc&) {
    return Refuse(ENOMEM, "it needs more memory than an analysis may have");
  } catch (const std::exception& error) {
    return Refuse(EIO, "the analysis cannot go on: {}", error.what());
  }
}

Result<void> Run(AnalyzeOptions options) {
  BagContents bag;  // in the jail nothing is received
  if (options.mapped) bag = OBIT_TRY(EmptyBag(std::move(options.mapped), MonotonicNow()));
  OBIT_TRY_IN(EnterJail(), "enter the jail");
  const std::int64_t begun = MonotonicNow();
  CrashRecord record = OBIT_TRY_IN(ReadRecord(options.record), "read the record");
  Report failed;
  failed.id = record.id;
  failed.time = RealtimeNow();
  const auto report = Analyze(MakeJob(options, std::move(bag.mapped), std::move(record)));
  if (report) return WriteAll(options.report, ReportToJson(*report));
  failed.failure = report.error().what;
  failed.seconds = static_cast<double>(MonotonicNow() - begun) / 1e9;
  return WriteAll(options.report, ReportToJson(failed));
}

}  // namespace
}  // namespace obit

int main(int argc, char** argv) {
  obit::SetLogName("obit-analyze");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  constexpr int kFailed = 1, kUsage = 2;
  auto options = obit::TakeOptions(argc, argv);
  if (!options) {
    obit::Log(obit::Severity::kError, "{}", options.error().what);
    return kUsage;
  }
  const auto done = obit::Run(std::move(*options));
  if (!done) obit::Log(obit::Severity::kError, "{}", done.error().what);
  ::_exit(done ? 0 : kFailed);  // nothing is left to tidy up, and the jail need not bear it
}
