#include "jobs/analyzer_process.h"

#include <optional>

#include <sys/resource.h>

#include "base/clock.h"
#include "base/io.h"
#include "crash/report_json.h"

namespace obit {
namespace {

Command CommandOf(const AnalyzerOptions& options, const AnalyzerFiles& files, const Fd& report) {
  Command command(options.program);
  const auto pass = [&](const char* option, const Fd& fd) {
    if (fd) command.Add(fmt::format("--{}={}", option, command.Pass(fd)));
  };
  pass("core", files.core);
  pass("record", files.record);
  pass("exe", files.exe);
  pass("report", report);
  pass("mapped", files.mapped);
  for (const std::string& directory : options.debug_directories)
    command.Add("--debug-directory=" + directory);
  if (!options.debuginfod_cache.empty()) command.Add("--debuginfod-cache=" + options.debuginfod_cache);
  command.Add(fmt::format("--environment={}", NameOf(options.environment)));
  return command;
}

}  // namespace

Result<AnalyzerFiles> OpenForAnalysis(const Store& store, const CrashLocation& crash) {
  AnalyzerFiles files;
  files.id = crash.id;
  files.core = OBIT_TRY(store.OpenFile(crash, kCoreFile));
  files.record = OBIT_TRY(store.OpenFile(crash, kRecordFile));
  if (auto exe = store.OpenFile(crash, kExeFile)) files.exe = std::move(*exe);
  return files;
}

Result<std::unique_ptr<AnalyzerProcess>> AnalyzerProcess::Start(EventLoop& loop,
                                                                const AnalyzerOptions& options,
                                                                const AnalyzerFiles& files,
                                                                std::function<void(Report)> done) {
  ChildPipe report = OBIT_TRY(MakeChildPipe());
  std::unique_ptr<AnalyzerProcess> process(new AnalyzerProcess(files.id, std::move(done)));
  process->report_ = std::move(report.read);
  process->readable_ = OBIT_TRY(loop.OnReadable(process->report_, [p = process.get()] { p->TakeReport(); }));
  process->started_ = MonotonicNow();
  process->child_ = OBIT_TRY(ChildProcess::Start(
      loop, CommandOf(options, files, report.write), options.timeout,
      [p = process.get()](const ChildProcess::End& end) { p->OnEnd(end); }, options.undead));
  if (options.niceness != 0)
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(process->child_->pid()), options.niceness);
  return process;
}

bool AnalyzerProcess::TakeReport() {
  if (!readable_ || !ReadSome(report_, text_, readable_)) return false;
  if (text_.size() <= kReportJsonMax) return true;
  readable_ = EventSource();
  child_->Kill(fmt::format("wrote a report of more than {} bytes", kReportJsonMax));
  return false;
}

/// The callback by copy: it may drop this object.
void AnalyzerProcess::OnEnd(const ChildProcess::End& end) {
  while (TakeReport()) continue;
  Report report = Outcome(end);
  const auto done = done_;
  done(std::move(report));
}

Report AnalyzerProcess::Outcome(const ChildProcess::End& end) const {
  const auto failed = [&](std::string why) {
    if (!end.last_line.empty()) why += ": " + end.last_line;
    Report report;
    report.id = id_;
    report.time = RealtimeNow();
    report.seconds = static_cast<double>(MonotonicNow() - started_) / 1e9;
    report.failure = "the analyzer " + why;
    return report;
  };
  if (!end.failure.empty()) return failed(end.failure);
  if (text_.size() > kReportJsonMax)
    return failed(fmt::format("wrote a report of more than {} bytes", kReportJsonMax));
  auto report = ReportFromJson(text_);
  if (!report) return failed("wrote no report: " + report.error().what);
  if (report->id != id_) return failed("wrote a report of another crash");
  return std::move(*report);
}

Result<Report> AnalyzeAndWait(const AnalyzerOptions& options, const AnalyzerFiles& files) {
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  std::optional<Report> report;
  const auto process = OBIT_TRY(AnalyzerProcess::Start(loop, options, files, [&](Report made) {
    report = std::move(made);
    loop.Stop();
  }));
  OBIT_TRY(loop.Run());
  if (!report) return Refuse(ECANCELED, "the analysis was stopped");
  return std::move(*report);
}

}  // namespace obit
