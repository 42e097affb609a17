#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "capture/capture.h"
#include "capture/trace.h"
#include "kernel/bag.h"
#include "policy/early_release.h"
#include "server/background.h"
#include "server/confine.h"
#include "server/facts_record.h"
#include "server/messages.h"
#include "server/patient_messages.h"
#include "server/role.h"
#include "store/prepared.h"

namespace obit {
namespace {

/// Each needs about 1 MiB, in every capture at once: so what obitd needs depends little on the machine.
/// Beside them a capture of a minimal core has some MiB of it (CoreWriter::kFetchedFirst) and of notes.
constexpr unsigned kThreadsMax = 4;

/// Memory that a worker keeps free between captures, bytes; frames, which each capture has, are smaller.
constexpr int kKeptFree = 1 << 20;

/// For a bag that has no end yet, ns: its sender hangs, for the manager has given it up. The process waits.
constexpr std::int64_t kBagWait = 100'000'000;

constexpr int kPrepareAgain = 1000;  // ms, after a disk was full

/// Before a recovery that failed is tried again, ms. Nobody waits for it, and whoever gives it up keeps a
/// core that nobody has looked into.
constexpr int kRecoverAgain[] = {0, 100, 1000};

CoreWriter::Options WriterOptions() {
  static const unsigned processors = std::thread::hardware_concurrency();
  return {.threads = std::clamp(processors, 1u, kThreadsMax)};
}

/// Puts what the bag has into `capture`; what it lacks the stream has.
void TakeFrom(Fd bag, CaptureJob& capture) {
  auto contents = EmptyBag(std::move(bag), MonotonicNow() + kBagWait);
  if (!contents) {
    capture.stream_reason = std::move(contents).error().what;
    return;
  }
  capture.exe = std::move(contents->program.file);
  capture.exe_reachable = contents->program.reachable;
  capture.record.capture.exe_reason = std::move(contents->program.missing);
  capture.memory = std::move(contents->memory);
  capture.outlook = std::move(contents->outlook);
  capture.record.thread_names = std::move(contents->threads);
  // For a recovery, which cannot tell; the capture says how it was in the end.
  if (capture.memory) capture.record.capture.method = CaptureMethod::kDirect;
  capture.stream_reason = std::move(contents->note);
  if (!contents->whole && !capture.memory && capture.stream_reason.empty())
    capture.stream_reason = "its memory could not be opened in time";
}

JobReport::Kind ReportOf(CaptureStep step) {
  switch (step) {
    case CaptureStep::kReleased:
      break;
    case CaptureStep::kKept:
      return JobReport::Kind::kKept;
    case CaptureStep::kCopied:
      return JobReport::Kind::kCopied;
  }
  return JobReport::Kind::kReleased;
}

/// What the core of a crash takes on the disk; 0: there is none.
using CoreBytes = std::uint64_t;

/// Does one job after another. Before it asks for one, the folder of the next crash is made: what a disk that
/// is slow or full does to it then, nobody waits for.
class Worker {
 public:
  Worker(const WorkerSetup& setup, const Background& background, CrashRecord::Host host)
      : manager_(setup.manager),
        incoming_(setup.incoming),
        progress_(*setup.progress),
        userfaults_(setup.userfaults),
        background_(background),
        host_(std::move(host)) {}

  /// Until the manager is gone.
  void Run();

 private:
  bool Report(const JobReport& report, std::string_view text = {}) const;
  void Prepare();
  bool DoNext();
  Result<CoreBytes> Do(const Job& job, std::string_view text, std::vector<Fd> fds);
  Result<CoreBytes> TryToRecover(const RecoveryJob& job, bool owner_killed);
  Result<PreparedCrash> PlaceFor(const Job& job, std::size_t fds);
  Result<CoreBytes> DoCapture(const Job& job, std::string_view facts, std::vector<Fd> fds);
  Result<CoreBytes> DoTrace(const Job& job, std::vector<Fd> fds);
  void Refused(const Job& job, std::vector<Fd>& fds) const;
  [[nodiscard]] KeepTerms TermsOf(const Job& job) const;

  const Fd& manager_;
  const Fd& incoming_;
  std::atomic<std::uint64_t>& progress_;
  const Fd& userfaults_;
  const Background& background_;
  const CrashRecord::Host host_;
  bool leaves_ = false;  // it kept memory: another has its seat
  std::optional<PreparedCrash> prepared_;
  std::string unprepared_;  // why there is none
};

/// False: nobody reads it any more.
bool Worker::Report(const JobReport& report, std::string_view text) const {
  std::vector<std::byte> bytes(sizeof report + std::min(text.size(), kReasonMax));
  std::memcpy(bytes.data(), &report, sizeof report);
  std::ranges::copy(std::as_bytes(std::span(text)).first(bytes.size() - sizeof report),
                    bytes.data() + sizeof report);
  return SendPatiently(manager_, bytes).has_value();
}

void Worker::Prepare() {
  if (prepared_) return;
  auto prepared = PrepareCrash(incoming_);
  if (prepared) {
    prepared_ = std::move(*prepared);
    unprepared_.clear();
  } else if (prepared.error().what != unprepared_) {
    unprepared_ = std::move(prepared).error().what;
    Log(Severity::kError, "no folder for the next crash, whose core will be lost: {}", unprepared_);
  }
}

/// Ready it is without a folder, too: crashes are recorded all the same.
void Worker::Run() {
  do Prepare();
  while (Report({.kind = JobReport::Kind::kReady}) && DoNext());
  if (prepared_) DropPrepared(incoming_, *prepared_);
}

bool Worker::DoNext() {
  pollfd watched{manager_.get(), POLLIN, 0};
  while (!prepared_ && ::poll(&watched, 1, kPrepareAgain) == 0) Prepare();
  auto message = ReceivePatiently(manager_, kMessageMax);
  if (!message || message->bytes.size() < sizeof(Job)) return false;
  Job job;
  std::memcpy(&job, message->bytes.data(), sizeof job);
  const std::string_view text(reinterpret_cast<const char*>(message->bytes.data()) + sizeof job,
                              message->bytes.size() - sizeof job);
  const auto done = Do(job, text, std::move(message->fds));
  if (done)
    Report({.kind = JobReport::Kind::kStored, .crash = job.crash, .core_bytes = *done});
  else
    Report({.kind = JobReport::Kind::kFailed, .crash = job.crash}, done.error().what);
  return !leaves_;  // if the manager is gone, the next report tells
}

Result<CoreBytes> Worker::Do(const Job& job, std::string_view text, std::vector<Fd> fds) {
  if (job.kind == Job::Kind::kCapture) return DoCapture(job, text, std::move(fds));
  if (job.kind == Job::Kind::kTrace) return DoTrace(job, std::move(fds));
  const std::string id = TextIn(job.head.id);
  if (job.kind != Job::Kind::kRecover || !IsCrashId(id)) return Refuse(EBADMSG, "a job that is none");
  const RecoveryJob recovery{id, std::string(text), host_.boot_id, &progress_};
  const bool owner_killed = job.head.owner_killed != 0;
  auto recovered = TryToRecover(recovery, owner_killed);
  for (const int pause : kRecoverAgain) {
    if (recovered || recovered.error().code == ENOENT) break;  // else it may go well
    ::poll(nullptr, 0, pause);
    recovered = TryToRecover(recovery, owner_killed);
  }
  return recovered;
}

Result<CoreBytes> Worker::TryToRecover(const RecoveryJob& job, bool owner_killed) {
  const Fd dir = OBIT_TRY_IN(TakeIncoming(incoming_, job.id, owner_killed), "recover crash {}", job.id);
  const CrashRecord record = OBIT_TRY_IN(Recover(dir, job), "recover crash {}", job.id);
  return record.capture.stored_bytes;
}

/// The prepared folder, if this job can have it.
Result<PreparedCrash> Worker::PlaceFor(const Job& job, std::size_t fds) {
  if (fds != 1U + (job.has_bag != 0 ? 1 : 0) || !IsCrashId(TextIn(job.head.id)))
    return Refuse(EBADMSG, "a job that is none");
  if (!prepared_) return Refuse(ENOSPC, "there is no folder for its core: {}", unprepared_);
  return *std::exchange(prepared_, std::nullopt);
}

/// Its process is let go.
void Worker::Refused(const Job& job, std::vector<Fd>& fds) const {
  for (Fd& fd : fds) ReleaseConnection(fd);
  Report({.kind = JobReport::Kind::kReleased, .crash = job.crash});
}

/// Nothing of it is in any file that has a name: whoever dies, it is gone.
Result<CoreBytes> Worker::DoTrace(const Job& job, std::vector<Fd> fds) {
  if (fds.size() != 3) {
    Refused(job, fds);
    return Refuse(EBADMSG, "a job that is none");
  }
  CaptureJob given;
  TakeFrom(std::move(fds[1]), given);
  TraceJob trace{.connection = std::move(fds[0]),
                 .memory = std::move(given.memory),
                 .no_memory = std::move(given.stream_reason),
                 .core_max = job.core_max,
                 .writer = WriterOptions()};
  ::fcntl(trace.connection.get(), F_SETFL, O_NONBLOCK);
  if (job.has_offer != 0) trace.offer = job.offer;
  const Fd core = OBIT_TRY(CaptureTrace(std::move(trace), progress_, [&] {
    Report({.kind = JobReport::Kind::kReleased, .crash = job.crash});
  }));
  BagSender bag(std::move(fds[2]));
  bag.PutTrace(core);
  bag.End();
  return 0;
}

KeepTerms Worker::TermsOf(const Job& job) const {
  return {.refused = Describe(static_cast<KeepRefusal>(job.keep_refusal)),
          .kept = job.kept,
          .timeout = std::chrono::nanoseconds(job.keep_ns),
          .userfaults = &userfaults_};
}

/// Until the release it opens nothing, and makes, renames or removes nothing: only what is open is written.
Result<CoreBytes> Worker::DoCapture(const Job& job, std::string_view facts, std::vector<Fd> fds) {
  auto place = PlaceFor(job, fds.size());
  if (!place) {
    Refused(job, fds);
    return std::unexpected(std::move(place).error());
  }
  CaptureJob capture;
  capture.record = MakeRecord(job.head, facts);
  capture.record.host = host_;
  capture.dir = std::move(place->dir);
  capture.core = std::move(place->core);
  capture.minimal = std::move(place->minimal);
  capture.begun = std::move(place->begun);
  capture.connection = std::move(fds[0]);
  ::fcntl(capture.connection.get(), F_SETFL, O_NONBLOCK);
  if (job.has_bag != 0) TakeFrom(std::move(fds[1]), capture);
  capture.verify = job.verify != 0;
  if (job.has_offer != 0) capture.offer = job.offer;
  capture.accepted = job.accepted;
  capture.core_max = job.core_max;
  capture.deadlines = {std::chrono::nanoseconds(job.progress_ns), std::chrono::nanoseconds(job.capture_ns)};
  capture.writer = WriterOptions();
  capture.keep = TermsOf(job);
  Result<void> named;
  const CrashRecord record = OBIT_TRY(Capture(std::move(capture), progress_, [&](CaptureStep step) {
    Report({.kind = ReportOf(step), .crash = job.crash});
    if (step == CaptureStep::kCopied) return;
    if (step == CaptureStep::kKept) {
      background_.Enter();
      leaves_ = true;
    }
    named = NamePrepared(incoming_, *place, TextIn(job.head.id));
  }));
  OBIT_TRY(std::move(named));
  return record.capture.stored_bytes;
}

}  // namespace

void RunWorker(WorkerSetup setup) {
  ::umask(077);
  // Else glibc keeps as much of what a capture gave back as the largest piece of it had: a worker lives long.
  ::mallopt(M_MMAP_THRESHOLD, kKeptFree);
  ::mallopt(M_TRIM_THRESHOLD, kKeptFree);
  CrashRecord::Host host = ThisHost();
  const Background background;
  if (const auto confined = ConfineWorker(setup.incoming); !confined) {
    Log(Severity::kError, "a capture worker cannot be confined: {}", confined.error().what);
    ::_exit(1);
  }
  Worker(setup, background, std::move(host)).Run();
  ::_exit(0);
}

}  // namespace obit
