#include "server/analyzer_process.h"

#include <array>
#include <csignal>
#include <optional>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "crash/record.h"
#include "crash/report_json.h"
#include "server/command.h"

namespace obit {
namespace {

constexpr std::size_t kLastWordsMax = 1024;  // bytes of standard error that are looked at

struct Pipe {
  Fd read, write;
};
/// Its read end does not block.
Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return Fail(errno, "make a pipe");
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) return Fail(errno, "make a pipe");
  return pipe;
}

Result<pid_t> StartAnalyzer(const AnalyzerOptions& options, const AnalyzerFiles& files, const Fd& report,
                            const Fd& words) {
  Command command(options.program);
  const auto pass = [&](const char* option, const Fd& fd) {
    if (fd) command.Add(fmt::format("--{}={}", option, command.Pass(fd)));
  };
  pass("core", files.core);
  pass("record", files.record);
  pass("exe", files.exe);
  pass("report", report);
  for (const MappedFile& mapped : files.mapped)
    command.Add(fmt::format("--module={:x}:{}", mapped.begin, command.Pass(mapped.file)));
  for (const std::string& directory : options.debug_directories)
    command.Add("--debug-directory=" + directory);
  if (!options.debuginfod_cache.empty()) command.Add("--debuginfod-cache=" + options.debuginfod_cache);
  command.Add(fmt::format("--environment={}", NameOf(options.environment)));
  const pid_t pid = OBIT_TRY(command.Start(words));
  if (options.niceness != 0) ::setpriority(PRIO_PROCESS, static_cast<id_t>(pid), options.niceness);
  return pid;
}

/// Appends what is there to read, at most 64 KiB. False: nothing is. Drops `source` at the end of file.
bool ReadSome(const Fd& fd, std::string& text, EventSource& source) {
  std::array<char, 64 * 1024> buffer;
  ssize_t n = 0;
  do {
    n = ::read(fd.get(), buffer.data(), buffer.size());
  } while (n < 0 && errno == EINTR);
  if (n == 0 || (n < 0 && errno != EAGAIN)) source = EventSource();
  if (n <= 0) return false;
  text.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

/// The last line that says something, without the name of the program.
std::string LastLine(std::string_view text) {
  text = Trim(text);
  std::string_view line = text.substr(text.rfind('\n') + 1);
  if (constexpr std::string_view kName = "obit-analyze: "; line.starts_with(kName))
    line.remove_prefix(kName.size());
  return std::string(line);
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

AnalyzerProcess::AnalyzerProcess(EventLoop& loop, std::string id, std::function<void(Report)> done)
    : loop_(loop), id_(std::move(id)), done_(std::move(done)) {}

Result<std::unique_ptr<AnalyzerProcess>> AnalyzerProcess::Start(EventLoop& loop,
                                                                const AnalyzerOptions& options,
                                                                const AnalyzerFiles& files,
                                                                std::function<void(Report)> done) {
  Pipe report = OBIT_TRY(MakePipe());
  Pipe words = OBIT_TRY(MakePipe());
  std::unique_ptr<AnalyzerProcess> process(new AnalyzerProcess(loop, files.id, std::move(done)));
  process->report_ = std::move(report.read);
  process->words_ = std::move(words.read);
  process->started_ = MonotonicNow();
  process->pid_ = OBIT_TRY(StartAnalyzer(options, files, report.write, words.write));
  OBIT_TRY(process->Watch(options.timeout));
  return process;
}

Result<void> AnalyzerProcess::Watch(std::chrono::seconds timeout) {
  report_readable_ = OBIT_TRY(loop_.OnReadable(report_, [this] { TakeReport(); }));
  words_readable_ = OBIT_TRY(loop_.OnReadable(words_, [this] { TakeWords(); }));
  death_ = OBIT_TRY(loop_.OnChild(pid_, [this](int status) { OnDeath(status); }));
  deadline_ = OBIT_TRY(loop_.After(timeout, [this, timeout] {
    Kill(fmt::format("the analyzer did not end within {} s", timeout.count()));
  }));
  return {};
}

AnalyzerProcess::~AnalyzerProcess() {
  death_ = EventSource();  // it would reap too
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool AnalyzerProcess::TakeReport() {
  if (!report_readable_ || !ReadSome(report_, text_, report_readable_)) return false;
  if (text_.size() <= kReportJsonMax) return true;
  report_readable_ = EventSource();
  Kill(fmt::format("the analyzer wrote a report of more than {} bytes", kReportJsonMax));
  return false;
}

bool AnalyzerProcess::TakeWords() {
  if (!words_readable_ || !ReadSome(words_, last_words_, words_readable_)) return false;
  if (last_words_.size() > kLastWordsMax) last_words_.erase(0, last_words_.size() - kLastWordsMax);
  return true;
}

void AnalyzerProcess::Kill(std::string why) {
  if (!killed_.empty()) return;
  killed_ = std::move(why);
  if (pid_ <= 0) return;  // it is dead already
  ::kill(pid_, SIGKILL);  // its death is the end
  if (auto timer = loop_.After(kGrace, [this] {
        death_ = EventSource();
        pid_ = -1;  // a zombie in the end, if ever
        Finish(Failed(killed_ + ", and cannot be killed"));
      }))
    deadline_ = std::move(*timer);
}

void AnalyzerProcess::OnDeath(int status) {
  pid_ = -1;
  deadline_ = EventSource();
  while (TakeReport()) continue;
  TakeWords();
  Finish(Outcome(status));
}

/// The callback by copy: it may drop this object.
void AnalyzerProcess::Finish(Report report) {
  const auto done = done_;
  done(std::move(report));
}

Report AnalyzerProcess::Failed(std::string why) const {
  if (const std::string line = LastLine(last_words_); !line.empty()) why += ": " + line;
  Report report;
  report.id = id_;
  report.time = RealtimeNow();
  report.seconds = static_cast<double>(MonotonicNow() - started_) / 1e9;
  report.failure = std::move(why);
  return report;
}

Report AnalyzerProcess::Outcome(int status) const {
  if (!killed_.empty()) return Failed(killed_);
  if (WIFSIGNALED(status)) return Failed("the analyzer was killed by " + SignalName(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0)
    return Failed(fmt::format("the analyzer ended with status {}", WEXITSTATUS(status)));
  auto report = ReportFromJson(text_);
  if (!report) return Failed("the analyzer wrote no report: " + report.error().what);
  if (report->id != id_) return Failed("the analyzer wrote a report of another crash");
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
