#include "server/worker.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <thread>

#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/unix_socket.h"
#include "capture/capture.h"
#include "server/confine.h"
#include "server/descriptors.h"

namespace obit {
namespace {

void Send(const Fd& manager, const WorkerReport& report) {
  // If it fails the manager is gone, and this process with it.
  (void)SendMessage(manager, std::as_bytes(std::span(&report, 1)), {});
}

WorkerReport ReportOf(const Result<CrashRecord>& result) {
  WorkerReport report{.kind = WorkerReport::Kind::kStored};
  if (result) return report;
  report.kind = WorkerReport::Kind::kFailed;
  report.code = result.error().code;
  const std::string_view text = std::string_view(result.error().what).substr(0, sizeof report.error - 1);
  std::memcpy(report.error, text.data(), text.size());
  return report;
}

/// Each needs about 1 MiB, in every capture at once: so what obitd needs depends little on the machine.
constexpr unsigned kThreadsMax = 4;

CoreWriter::Options WriterOptions() {
  return {.threads = std::clamp(std::thread::hardware_concurrency(), 1u, kThreadsMax)};
}

WorkerReport Work(const Fd& manager, const WorkerJob& job, std::vector<Fd> fds,
                  std::atomic<std::uint64_t>& progress) {
  const std::string reason(job.reason, ::strnlen(job.reason, sizeof job.reason));
  if (job.kind == WorkerJob::Kind::kRecover) {
    if (fds.size() != 1) return ReportOf(Refuse(EBADMSG, "job without its folder"));
    return ReportOf(Recover(fds[0], reason));
  }
  const std::size_t expected = 2 + (job.has_exe != 0 ? 1 : 0) + (job.has_memory != 0 ? 4 : 0);
  if (fds.size() != expected) return ReportOf(Refuse(EBADMSG, "job without its descriptors"));
  auto next = fds.begin();
  CaptureJob capture;
  capture.dir = std::move(*next++);
  capture.connection = std::move(*next++);
  if (job.has_exe != 0) capture.exe = std::move(*next++);
  if (job.has_memory != 0) {
    ProcessMemory& memory = capture.memory.emplace();
    for (Fd* part : {&memory.mem, &memory.pagemap, &memory.maps, &memory.smaps}) *part = std::move(*next++);
  }
  capture.stream_reason = reason;
  capture.exe_reachable = job.exe_reachable != 0;
  capture.verify = job.verify != 0;
  if (job.has_offer != 0) capture.offer = job.offer;
  capture.accepted = job.accepted;
  capture.core_max = job.core_max;
  capture.deadlines = {std::chrono::nanoseconds(job.progress_ns), std::chrono::nanoseconds(job.capture_ns)};
  capture.writer = WriterOptions();
  return ReportOf(
      Capture(std::move(capture), progress, [&] { Send(manager, {.kind = WorkerReport::Kind::kReleased}); }));
}

}  // namespace

void RunWorker(Fd manager, Fd incoming, std::atomic<std::uint64_t>& progress, pid_t manager_pid) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != manager_pid) ::_exit(0);  // it died before the line above
  ::prctl(PR_SET_DUMPABLE, 0);                 // a crash of the worker must not connect to its own server
  ::prctl(PR_SET_NAME, "obitd-capture");
  ::umask(077);
  KeepOnly({{&manager, &incoming}});
  if (const auto confined = ConfineWorker(incoming); !confined) {
    Log(Severity::kError, "a capture worker cannot be confined: {}", confined.error().what);
    ::_exit(1);
  }
  incoming.Reset();
  // A terminal's ^C reaches the whole group; the manager decides what becomes of a running capture.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error to report, not a death
  for (;;) {
    auto message = ReceiveMessage(manager, sizeof(WorkerJob), 0);
    if (!message || message->bytes.size() != sizeof(WorkerJob)) ::_exit(0);  // the manager is gone
    WorkerJob job;
    std::memcpy(&job, message->bytes.data(), sizeof job);
    progress.store(0, std::memory_order_relaxed);
    Send(manager, Work(manager, job, std::move(message->fds), progress));
  }
}

}  // namespace obit
