#include "server/server.h"

#include <cstring>

#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "capture/capture.h"
#include "crash/record_json.h"
#include "server/journal.h"
#include "store/access.h"

namespace obit {
namespace {

std::string Headline(const CrashRecord& record) {
  const auto& capture = record.capture;
  std::string line = fmt::format("{} {}[{}] {}: {}", record.id, record.process.comm, record.process.pid,
                                 SignalName(record.signal.number), NameOf(capture.outcome));
  if (capture.core_bytes > 0)
    line += fmt::format(", {} bytes in {}, held for {:.3f} s", capture.core_bytes, capture.stored_bytes,
                        capture.held_seconds);
  if (!capture.reason.empty()) line += ": " + capture.reason;
  return line;
}

/// So many counts of crash loops are written each second, and at the end: each costs a sync.
constexpr std::size_t kRepeatsAtOnce = 16, kRepeatsAtEnd = 256;

/// Crashes that are accepted and committed between two writes of their numbers' files.
constexpr std::uint64_t kNumbersAtOnce = 4096;
/// The crash is being captured, or waits for that.
bool IsIncoming(const Store& store, const std::string& id) {
  struct stat status{};
  return ::fstatat(store.root().get(), ("incoming/" + id).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

void SetReason(WorkerJob& job, std::string_view reason) {
  std::memcpy(job.reason, reason.data(), std::min(reason.size(), sizeof job.reason - 1));
}

}  // namespace

Server::Server(EventLoop& loop, Store store, Intake::Listeners listeners, const Config& config,
               PeerInspector& inspector, std::string analyzer)
    : loop_(loop),
      store_(std::move(store)),
      numbers_(OpenNumbers(store_, kNumbersAtOnce, false)),
      config_(config),
      inspector_(inspector),
      released_(loop, [this](const Peer& peer) { return inspector_.ActivityOf(peer); }),
      analyses_(loop, store_, std::move(analyzer), config,
                [this](const CrashLocation& crash, const Report& report) { OnReport(crash, report); }),
      hooks_(loop, store_, config,
             [this] {
               ScheduleMetrics();
               StopIfDone();
             }),
      intake_(loop, std::move(listeners), config, inspector, numbers_.accepted,
              {.capture = [this](Arrival arrival) { Enqueue(std::move(arrival)); },
               .record =
                   [this](CrashRecord record) {
                     KeepRecord(std::move(record));
                     StopIfDone();
                   },
               .rejected =
                   [this](const CrashRecord& record) {
                     ++counters_.rejected;
                     ScheduleMetrics();
                     Log(Severity::kInfo, "{}[{}] {}: only counted", record.process.comm, record.process.pid,
                         SignalName(record.signal.number));
                     StopIfDone();
                   },
               .repeated =
                   [this] {
                     ++counters_.repeated;
                     ScheduleMetrics();
                     ScheduleRepeats();
                     StopIfDone();
                   }}) {}

Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::Create(EventLoop& loop, Store store, Intake::Listeners listeners,
                                               const Config& config, PeerInspector& inspector,
                                               std::string analyzer) {
  Fd lock = OBIT_TRY(store.LockForServer());
  std::unique_ptr<Server> server(
      new Server(loop, std::move(store), std::move(listeners), config, inspector, std::move(analyzer)));
  server->store_lock_ = std::move(lock);
  // The workers first: what is opened after the fork is not even inherited.
  server->pool_ = OBIT_TRY(WorkerPool::Create(
      loop, server->store_lock_, config.slots,
      {.done = [s = server.get()](CaptureTask task,
                                  const TaskResult& result) { s->OnTaskDone(std::move(task), result); },
       .replaced = [s = server.get()] { s->StartQueued(); }}));
  if (auto index = Index::Open(server->store_))
    server->index_ = std::move(*index);
  else
    Log(Severity::kWarning, "no index, lists will be slower: {}", index.error().what);
  for (const std::string& problem : server->numbers_.problems) Log(Severity::kWarning, "{}", problem);
  if (server->index_)
    if (auto rest = server->index_->Unnumbered()) server->unnumbered_ = std::move(*rest);
  server->ScheduleNumbers();
  OBIT_TRY(server->RecoverAbandoned());
  server->analyses_.AddUnanalysed();
  OBIT_TRY(server->intake_.Listen());
  server->WriteMetrics();
  return server;
}

Result<void> Server::Reconfigure(const Config& config) {
  config_ = config;
  intake_.Reconfigure(config);
  analyses_.Reconfigure(config);
  hooks_.Reconfigure(config);
  OBIT_TRY(pool_->Resize(config.slots));
  StartQueued();
  return {};
}

void Server::NotePattern(bool ours) {
  metrics_.pattern_ours = ours;
  ScheduleMetrics();
}

// Capture.

/// From here on the crash leaves a trace: begun.json, whatever becomes of this process.
void Server::Enqueue(Arrival arrival) {
  CrashRecord& record = arrival.record;
  // For a recovery, which cannot tell; the capture says how it was in the end.
  if (config_.direct && arrival.peer.pidfd) record.capture.method = CaptureMethod::kDirect;
  auto incoming = store_.Begin(record.id);
  Result<void> begun;
  if (incoming)
    begun = [&]() -> Result<void> {
      const Fd file = OBIT_TRY(OpenAt(incoming->dir, kBegunFile, O_WRONLY | O_CREAT | O_EXCL, 0600));
      return WriteAll(file, RecordToJson(record));
    }();
  if (!incoming || !begun) {
    ReleaseConnection(arrival.connection);
    if (incoming) (void)store_.Discard(record.id);
    return Lose(record, incoming ? begun.error().what : incoming.error().what);
  }
  CaptureTask task;
  task.id = record.id;
  task.dir = std::move(incoming->dir);
  task.connection = std::move(arrival.connection);
  task.exe = std::move(arrival.exe.file);
  task.job.exe_reachable = arrival.exe.reachable ? 1 : 0;
  task.peer = std::move(arrival.peer);
  task.is_socket = arrival.is_socket;
  task.job.kind = WorkerJob::Kind::kCapture;
  task.job.has_offer = arrival.offer ? 1 : 0;
  if (arrival.offer) task.job.offer = *arrival.offer;
  task.job.accepted = arrival.accepted;
  task.job.core_max = arrival.core_max;
  queue_.push_back(std::move(task));
  StartQueued();
}

void Server::StartQueued() {
  StartTasks();
  analyses_.Hold(!queue_.empty());
  hooks_.Hold(!queue_.empty());
}

void Server::StartTasks() {
  while (!queue_.empty() && pool_->HasIdle()) {
    CaptureTask task = std::move(queue_.front());
    queue_.pop_front();
    task.job.progress_ns = std::chrono::nanoseconds(config_.progress_timeout).count();
    task.job.capture_ns = std::chrono::nanoseconds(config_.capture_timeout).count();
    task.job.verify = config_.verify ? 1 : 0;
    if (task.job.kind == WorkerJob::Kind::kCapture && config_.direct) OpenMemory(task);
    if (task.job.kind == WorkerJob::Kind::kCapture) OpenMappedFiles(task);
    if (auto back = pool_->Start(std::move(task))) {
      queue_.push_front(std::move(*back));
      return;  // until a worker is replaced
    }
  }
}

/// Only when its turn has come: a queue of thousands must not hold thousands of open files.
void Server::OpenMemory(CaptureTask& task) {
  if (!task.peer.pidfd) return SetReason(task.job, "the process cannot be named");
  if (auto memory = inspector_.Memory(task.peer))
    task.memory = std::move(*memory);
  else
    SetReason(task.job, memory.error().what);
}

/// Before the process is released: names may lead to other files by the time of the analysis.
void Server::OpenMappedFiles(CaptureTask& task) {
  if (!task.peer.pidfd || !analyses_.WantsMappedFiles()) return;
  if (auto mapped = inspector_.MappedFiles(task.peer)) task.mapped = std::move(*mapped);
}

void Server::OnTaskDone(CaptureTask task, const TaskResult& result) {
  task.connection.Reset();
  released_.Watch(std::move(task.peer), task.id);
  switch (result.end) {
    case TaskResult::End::kStored:
      Commit(task.id, std::move(task.mapped));
      break;
    case TaskResult::End::kFailed:
      KeepWithoutCore(task.id, result.why);
      break;
    case TaskResult::End::kWorkerLost:
      // A core that twice took its worker along is not touched a third time.
      if (recovering_.contains(task.id))
        KeepWithoutCore(task.id, result.why);
      else
        QueueRecovery(task.id, std::move(task.dir), result.why);
      break;
  }
  StartQueued();
  StopIfDone();
}

void Server::QueueRecovery(const std::string& id, Fd dir, const std::string& reason) {
  recovering_.insert(id);
  CaptureTask task;
  task.id = id;
  task.dir = std::move(dir);
  task.job.kind = WorkerJob::Kind::kRecover;
  SetReason(task.job, reason);
  queue_.push_front(std::move(task));
}

/// What a server that is gone left in incoming/.
Result<void> Server::RecoverAbandoned() {
  for (IncomingCrash& crash : OBIT_TRY(store_.TakeAbandoned())) {
    if (const auto begun = LoadRecord(crash.dir, kBegunFile)) (void)numbers_.accepted.NotBelow(begun->number);
    QueueRecovery(crash.id, std::move(crash.dir), "obitd was stopped or killed while it captured");
  }
  if (const auto ready = numbers_.accepted.Refill(); !ready)
    Log(Severity::kWarning, "{}", ready.error().what);
  StartQueued();
  return {};
}

// Commit.

/// A record that has no core: written here, since nothing of it comes from a core.
void Server::KeepRecord(CrashRecord record) {
  const auto written = [&]() -> Result<void> {
    const IncomingCrash incoming = OBIT_TRY(store_.Begin(record.id));
    return WriteRecord(incoming.dir, record);
  }();
  if (written) return Commit(record.id, {});
  (void)store_.Discard(record.id);
  Lose(record, written.error().what);
}

/// A crash whose capture left nothing but begun.json: the record says why.
void Server::KeepWithoutCore(const std::string& id, const std::string& reason) {
  CrashRecord record;
  record.id = id;
  const auto written = [&]() -> Result<void> {
    const Fd incoming = OBIT_TRY(OpenAt(store_.root(), "incoming/" + id, O_RDONLY | O_DIRECTORY));
    record = OBIT_TRY(LoadRecord(incoming, kBegunFile));
    ::unlinkat(incoming.get(), kCoreFile, 0);
    ::unlinkat(incoming.get(), kExeFile, 0);
    record.capture.method = CaptureMethod::kNone;
    record.capture.outcome = CrashOutcome::kFailed;
    record.capture.reason = reason;
    return WriteRecord(incoming, record);
  }();
  if (written) return Commit(id, {});
  (void)store_.Discard(id);
  Lose(record, fmt::format("{}; {}", reason, written.error().what));
}

void Server::Commit(const std::string& id, std::vector<MappedFile> mapped) {
  recovering_.erase(id);
  CrashLocation location;
  const auto committed = [&]() -> Result<CrashRecord> {
    const Fd incoming = OBIT_TRY(OpenAt(store_.root(), "incoming/" + id, O_RDONLY | O_DIRECTORY));
    CrashRecord record = OBIT_TRY(LoadForCommit(incoming));
    if (!OBIT_TRY(ShareCrash(incoming, record)) && !std::exchange(said_no_acls_, true))
      Log(Severity::kWarning, "{} has no ACLs: crashes are for root and the group of the store only",
          store_.path());
    const Committed done = OBIT_TRY(CommitNumbered(store_, numbers_.committed, record));
    location = done.location;
    committed_.push_back(location);
    if (done.unnumbered) {
      if (done.unnumbered->code != EBUSY) Log(Severity::kWarning, "crash {}: {}", id, done.unnumbered->what);
      unnumbered_.push_back(location);
    }
    return record;
  }();
  if (!committed) {
    CrashRecord unknown;
    unknown.id = id;
    return Lose(unknown, committed.error().what);
  }
  ++counters_.committed;
  metrics_.CountCrash(*committed);
  ScheduleMetrics();
  Announce(location, *committed);
  hooks_.Add(HookEvent::kCrash, location);
  if (repeats_.contains(id)) ScheduleRepeats();
  ScheduleSync();
  if (!committed->files.core.empty()) analyses_.Add(location, std::move(mapped));
}

/// The record as a worker wrote it. Workers read cores: of the numbers only those are believed that were
/// given.
Result<CrashRecord> Server::LoadForCommit(const Fd& incoming) {
  CrashRecord record = OBIT_TRY(LoadRecord(incoming, kRecordFile));
  if (record.number <= numbers_.accepted.last()) return record;
  Log(Severity::kWarning, "crash {}: its number {} was never given: it is ignored", record.id, record.number);
  record.number = 0;
  OBIT_TRY(WriteRecord(incoming, record));
  return record;
}

/// Those whose commit numbers could not be had when they were committed, by this server or the one before.
void Server::NumberTheRest() {
  number_ = EventSource();
  std::vector<CrashLocation> left, numbered;
  for (const CrashLocation& crash : unnumbered_) {
    const auto done = NumberCommitted(store_, numbers_.committed, crash);
    if (done)
      numbered.push_back(crash);
    else if (done.error().code != EEXIST && done.error().code != ENOENT && done.error().code != EPERM) {
      if (left.empty() && done.error().code != EBUSY && numbers_pause_ == kNumbersLater)
        Log(Severity::kWarning, "crash {}: {}", crash.id, done.error().what);
      left.push_back(crash);
    }
  }
  unnumbered_ = std::move(left);
  numbers_pause_ = numbered.empty() ? std::min(numbers_pause_ * 2, kNumbersMuchLater) : kNumbersLater;
  if (index_ && !numbered.empty())
    if (const auto added = index_->Add(store_, numbered); !added)
      Log(Severity::kWarning, "index: {}", added.error().what);
  ScheduleNumbers();
}

/// Soon, and then seldom: another process may hold the numbers for long, and an idle server sleeps.
void Server::ScheduleNumbers() {
  if (unnumbered_.empty() || number_ || stopping_) return;
  if (auto later = loop_.After(numbers_pause_, [this] { NumberTheRest(); })) number_ = std::move(*later);
}

/// To the journal, and to the log where the journal does not show it.
void Server::Announce(const CrashLocation& location, const CrashRecord& record) {
  const bool sent = config_.journal && SendToJournal(EntryOfCrash(record, store_.PathOf(location)));
  if (!sent || !LogsToJournal()) Log(Severity::kNotice, "{}", Headline(record));
}

/// At most once a second, and only after a change: an idle server sleeps.
void Server::ScheduleMetrics() {
  if (measure_) return;
  if (auto later = loop_.After(std::chrono::seconds(1), [this] { WriteMetrics(); }))
    measure_ = std::move(*later);
}

void Server::WriteMetrics() {
  measure_ = EventSource();
  if (!config_.metrics) return;
  metrics_.rejected = counters_.rejected;
  metrics_.repeated = counters_.repeated;
  metrics_.lost = counters_.lost;
  metrics_.refused = intake_.counters().refused;
  metrics_.queued = queue_.size();
  metrics_.captures = pool_->busy();
  metrics_.analyses_dropped = analyses_.dropped();
  metrics_.hooks = hooks_.counters();
  if (index_)
    if (const auto use = index_->Use()) metrics_.store = *use;
  struct statfs free{};
  if (::fstatfs(store_.root().get(), &free) == 0)
    metrics_.store_free_bytes = std::uint64_t{free.f_bavail} * static_cast<std::uint64_t>(free.f_frsize);
  if (metrics_.queued + metrics_.captures > 0) ScheduleMetrics();
  const auto publish = [](const Fd& file) -> Result<void> {
    if (::fchmod(file.get(), 0644) < 0) return Fail(errno, "let everybody read it");
    return {};
  };
  if (const auto written = WriteFileAtomically(store_.root(), kMetricsFile, metrics_.Render(), 0644, publish);
      !written)
    Log(Severity::kWarning, "metrics: {}", written.error().what);
}

void Server::ScheduleRepeats() {
  if (repeat_) return;
  if (auto later = loop_.After(std::chrono::seconds(1), [this] { WriteRepeats(kRepeatsAtOnce); }))
    repeat_ = std::move(*later);
}

/// Puts what crash loops repeated beside the crashes that it came after, each in its turn.
void Server::WriteRepeats(std::size_t most) {
  repeat_ = EventSource();
  for (CrashLoops::Count& count : intake_.TakeRepeats())
    repeats_.insert_or_assign(count.repeats.id, std::move(count));
  auto next = repeats_.upper_bound(repeats_written_);
  for (std::size_t left = repeats_.size(); left > 0 && most > 0; --left) {
    if (next == repeats_.end()) next = repeats_.begin();
    if (IsIncoming(store_, next->first)) {
      ++next;  // Commit comes back to it
      continue;
    }
    NoteRepeats(next->second);
    repeats_written_ = next->first;
    next = repeats_.erase(next);
    --most;
  }
  if (most == 0 && !repeats_.empty()) ScheduleRepeats();
}

void Server::NoteRepeats(const CrashLoops::Count& count) {
  const Repeats& repeats = count.repeats;
  const auto written = store_.WriteRepeats({FormatDay(count.kept_time), repeats.id}, repeats);
  if (written) return;
  if (written.error().code != ENOENT && written.error().code != EPERM)  // the next count is written again
    return Log(Severity::kWarning, "{}", written.error().what);
  intake_.ForgetKept(repeats.id);
  Log(Severity::kNotice, "{} more crashes like {}, which is gone, were counted: the next one is kept",
      repeats.crashes, repeats.id);
}

/// One sync for all that this turn of the loop commits: in a storm that is many.
void Server::ScheduleSync() {
  if (auto later = loop_.After(std::chrono::nanoseconds(0), [this] { SyncCommitted(); }))
    sync_ = std::move(*later);
  else
    SyncCommitted();
}

void Server::SyncCommitted() {
  std::set<std::string> days;
  for (const CrashLocation& crash : committed_) days.insert(crash.day);
  for (const std::string& day : days)
    if (const auto synced = store_.SyncDay(day); !synced && synced.error().code != ENOENT)
      Log(Severity::kError, "{}", synced.error().what);
  if (index_ && !committed_.empty())
    if (const auto added = index_->Add(store_, committed_); !added)
      Log(Severity::kWarning, "index: {}", added.error().what);
  committed_.clear();
  ScheduleNumbers();
}

void Server::OnReport(const CrashLocation& crash, const Report& report) {
  metrics_.CountReport(report);
  ScheduleMetrics();
  AnnounceReport(crash, report);
  hooks_.Add(HookEvent::kReport, crash);
  if (!index_) return;
  if (const auto added = index_->Add(store_, std::span(&crash, 1)); !added)
    Log(Severity::kWarning, "index: {}", added.error().what);
}

/// What was found may quote the memory of the process: of one that was privileged it is for the store only.
void Server::AnnounceReport(const CrashLocation& crash, const Report& report) {
  const auto record = store_.Load(crash);
  const bool quotes = record && OwnerOf(*record);
  const bool sent = config_.journal && quotes && SendToJournal(EntryOfReport(report, store_.PathOf(crash)));
  if (sent && LogsToJournal()) return;
  std::string line = fmt::format("{} analysed in {:.3f} s", crash.id, report.seconds);
  if (quotes && !report.cause.sentence.empty()) line += ": " + report.cause.sentence;
  if (!report.failure.empty()) line += ": " + report.failure;
  Log(report.failure.empty() ? Severity::kNotice : Severity::kWarning, "{}", line);
}

/// Not even a record: the log line is all that remains, so it has what is known.
void Server::Lose(const CrashRecord& record, const std::string& why) {
  intake_.ForgetKept(record.id);
  ++counters_.lost;
  ScheduleMetrics();
  Log(Severity::kError, "crash not recorded: {}[{}] {} of uid {}, {}: {}", record.process.comm,
      record.process.pid, SignalName(record.signal.number),
      record.process.uid ? std::to_string(*record.process.uid) : "?", record.process.exe, why);
}

// Stop.

void Server::Stop() {
  if (stopping_) return;
  stopping_ = true;
  analyses_.Stop();
  intake_.StopListening();
  // The next start recovers what a dead server left.
  std::erase_if(queue_, [](const CaptureTask& task) { return task.job.kind == WorkerJob::Kind::kRecover; });
  if (auto timer = loop_.After(config_.stop_timeout, [this] { GiveUp(); }))
    stop_ = std::move(*timer);
  else
    GiveUp();
  StopIfDone();
}

/// The time to stop is over: lets every process go, with what is known of it.
void Server::GiveUp() {
  const std::string why = "obitd was stopping";
  std::deque<CaptureTask> waiting;
  waiting.swap(queue_);
  for (CaptureTask& task : waiting) {
    ReleaseConnection(task.connection);
    released_.Watch(std::move(task.peer), task.id);
    KeepWithoutCore(task.id, why + " while it waited for its turn");
  }
  pool_->KillBusy(why);
  hooks_.Stop();
  StopIfDone();
}

void Server::StopIfDone() {
  if (!stopping_ || pool_->busy() > 0 || !queue_.empty() || intake_.pending() > 0 || hooks_.busy()) return;
  SyncCommitted();
  if (!unnumbered_.empty()) NumberTheRest();
  WriteRepeats(kRepeatsAtEnd);
  for (const auto& [id, count] : repeats_)
    Log(Severity::kNotice, "{} more crashes like {} were counted, without a note in the store",
        count.repeats.crashes, id);
  WriteMetrics();
  loop_.Stop();
}

}  // namespace obit
