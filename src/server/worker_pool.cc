#include "server/worker_pool.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "capture/capture.h"

namespace obit {
namespace {

/// A byte counter that the worker writes and the manager reads: a page of shared memory.
class SharedCounter {
 public:
  static Result<SharedCounter> Create() {
    void* page = ::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return Fail(errno, "share memory with a worker");
    return SharedCounter(new (page) std::atomic<std::uint64_t>(0));
  }
  SharedCounter(SharedCounter&& other) noexcept : counter_(std::exchange(other.counter_, nullptr)) {}
  SharedCounter& operator=(SharedCounter&&) = delete;
  ~SharedCounter() {
    if (counter_ != nullptr) ::munmap(counter_, sizeof *counter_);
  }
  [[nodiscard]] std::atomic<std::uint64_t>& get() const { return *counter_; }

 private:
  explicit SharedCounter(std::atomic<std::uint64_t>* counter) : counter_(counter) {}
  std::atomic<std::uint64_t>* counter_;
};

std::string DescribeDeath(int status) {
  if (WIFSIGNALED(status)) return fmt::format("the capture worker died of {}", SignalName(WTERMSIG(status)));
  return fmt::format("the capture worker exited with status {}", WEXITSTATUS(status));
}

}  // namespace

struct WorkerPool::Slot {
  explicit Slot(SharedCounter shared) : progress(std::move(shared)) {}
  SharedCounter progress;
  pid_t pid = -1;
  Fd socket;
  EventSource readable, death, watchdog;
  std::optional<CaptureTask> task;
  std::int64_t started = 0, last_progress = 0;  // CLOCK_MONOTONIC, ns
  std::uint64_t seen = 0;                       // of `progress` at last_progress
  std::string killed;                           // why this pool killed it
  EventSource retry;                            // of a fork that failed

  [[nodiscard]] bool idle() const { return pid > 0 && !task && killed.empty(); }
};

WorkerPool::WorkerPool(EventLoop& loop, const Fd& incoming, Handler handler)
    : loop_(loop), incoming_(incoming), handler_(std::move(handler)) {}

Result<std::unique_ptr<WorkerPool>> WorkerPool::Create(EventLoop& loop, const Fd& incoming, unsigned count,
                                                       Handler handler) {
  std::unique_ptr<WorkerPool> pool(new WorkerPool(loop, incoming, std::move(handler)));
  OBIT_TRY(pool->Resize(count));
  return pool;
}

WorkerPool::~WorkerPool() {
  for (const auto& slot : slots_) End(*slot);
}

/// Makes the worker go, and reaps it.
void WorkerPool::End(Slot& slot) {
  slot.death = EventSource();  // it would reap too
  if (slot.pid <= 0) return;
  ::kill(slot.pid, SIGKILL);
  ::waitpid(slot.pid, nullptr, 0);
  slot.pid = -1;
}

Result<void> WorkerPool::Fork(Slot& slot) {
  SocketPair pair = OBIT_TRY(MakeSocketPair(SOCK_SEQPACKET));
  Fd incoming = OBIT_TRY(Duplicate(incoming_));
  const pid_t manager = ::getpid();
  slot.killed.clear();
  slot.pid = ::fork();
  if (slot.pid < 0) return Fail(errno, "fork a capture worker");
  if (slot.pid == 0) RunWorker(std::move(pair.second), std::move(incoming), slot.progress.get(), manager);
  slot.socket = std::move(pair.first);
  auto readable = loop_.OnReadable(slot.socket, [this, &slot] { OnReport(slot); });
  auto death = loop_.OnChild(slot.pid, [this, &slot](int status) { OnDeath(slot, status); });
  if (!readable || !death) {
    End(slot);
    return std::unexpected((readable ? death : readable).error());
  }
  slot.readable = std::move(*readable);
  slot.death = std::move(*death);
  return {};
}

/// Forks the successor of a dead worker; again in a second if the system cannot now: crashes wait for it.
void WorkerPool::Replace(Slot& slot) {
  const auto forked = Fork(slot);
  if (forked) return handler_.replaced();
  Log(Severity::kError, "a capture worker is gone, its successor has to wait: {}", forked.error().what);
  if (auto timer = loop_.After(std::chrono::seconds(1), [this, &slot] { Replace(slot); }))
    slot.retry = std::move(*timer);
}

Result<void> WorkerPool::Resize(unsigned count) {
  wanted_ = count;
  DropSurplus();
  while (slots_.size() < wanted_) {
    slots_.push_back(std::make_unique<Slot>(OBIT_TRY(SharedCounter::Create())));
    OBIT_TRY(Fork(*slots_.back()));
  }
  return {};
}

void WorkerPool::DropSurplus() {
  for (std::size_t i = slots_.size(); i-- > 0 && slots_.size() > wanted_;) {
    if (slots_[i]->task) continue;
    End(*slots_[i]);
    slots_.erase(slots_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

bool WorkerPool::HasIdle() const {
  return std::ranges::any_of(slots_, [](const auto& slot) { return slot->idle(); });
}

std::size_t WorkerPool::busy() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(slots_, [](const auto& slot) { return slot->task.has_value(); }));
}

/// In the order that WorkerJob tells, which gets its flags.
std::vector<int> WorkerPool::DescriptorsOf(CaptureTask& task) {
  std::vector<int> fds{task.dir.get()};
  if (!task.connection) return fds;
  fds.push_back(task.connection.get());
  task.job.has_exe = task.exe ? 1 : 0;
  if (task.exe) fds.push_back(task.exe.get());
  task.job.has_memory = task.memory ? 1 : 0;
  if (task.memory)
    for (const Fd* part : {&task.memory->mem, &task.memory->pagemap, &task.memory->maps, &task.memory->smaps})
      fds.push_back(part->get());
  return fds;
}

std::optional<CaptureTask> WorkerPool::Start(CaptureTask task) {
  const std::vector<int> fds = DescriptorsOf(task);
  for (const auto& slot : slots_) {
    if (!slot->idle()) continue;
    slot->progress.get().store(0, std::memory_order_relaxed);
    if (const auto sent = SendMessage(slot->socket, std::as_bytes(std::span(&task.job, 1)), fds); !sent) {
      Kill(*slot, sent.error().what);  // it has died, and nobody has noticed yet
      continue;
    }
    slot->started = slot->last_progress = MonotonicNow();
    slot->seen = 0;
    slot->task = std::move(task);
    slot->task->exe.Reset();
    slot->task->memory.reset();
    // A socket stays open here so that the watchdog can shut it down even if the worker cannot die. A pipe
    // must not: only the last close of its read end lets the process go.
    if (!slot->task->is_socket) slot->task->connection.Reset();
    Check(*slot);
    return std::nullopt;
  }
  return task;
}

/// Looks after a running task, again and again until it ends.
void WorkerPool::Check(Slot& slot) {
  if (!slot.task || !slot.killed.empty()) return;
  const std::int64_t now = MonotonicNow();
  const std::uint64_t progress = slot.progress.get().load(std::memory_order_relaxed);
  if (progress != slot.seen) {
    slot.seen = progress;
    slot.last_progress = now;
  }
  const std::int64_t grace = std::chrono::nanoseconds(kGrace).count();
  const WorkerJob& job = slot.task->job;
  if (now - slot.started > job.capture_ns + grace)
    return Kill(slot, fmt::format("the capture took longer than {} s", job.capture_ns / 1'000'000'000));
  if (now - slot.last_progress > job.progress_ns + grace)
    return Kill(slot, fmt::format("the capture made no progress for {} s", job.progress_ns / 1'000'000'000));
  if (auto timer = loop_.After(std::chrono::seconds(1), [this, &slot] { Check(slot); }))
    slot.watchdog = std::move(*timer);
}

void WorkerPool::Kill(Slot& slot, const std::string& why) {
  slot.killed = why;
  slot.watchdog = EventSource();
  // Its death ends the task. First: it would take the released connection for the end of the core, and say
  // so.
  if (slot.pid > 0) ::kill(slot.pid, SIGKILL);
  if (slot.task) ReleaseConnection(slot.task->connection);
  if (slot.pid <= 0) return;
  if (auto timer = loop_.After(kGrace, [this, &slot] { LeaveBehind(slot); }))
    slot.watchdog = std::move(*timer);
}

void WorkerPool::LeaveBehind(Slot& slot) {
  Log(Severity::kError, "capture worker {} cannot die, another takes its place: {}", slot.pid, slot.killed);
  slot.death = EventSource();
  const int pid = std::exchange(slot.pid, -1);
  if (auto death = loop_.OnChild(pid, [this, pid](int) { left_behind_.erase(pid); }))
    left_behind_.emplace(pid, std::move(*death));
  EndLost(slot, slot.killed);
}

void WorkerPool::KillBusy(const std::string& why) {
  for (const auto& slot : slots_)
    if (slot->task) Kill(*slot, why);
}

void WorkerPool::OnReport(Slot& slot) {
  const auto message = ReceiveMessage(slot.socket, sizeof(WorkerReport), MSG_DONTWAIT);
  if (!message || message->bytes.size() != sizeof(WorkerReport)) {
    if (message || message.error().code != EAGAIN) slot.readable = EventSource();  // its death is on the way
    return;
  }
  WorkerReport report;
  std::memcpy(&report, message->bytes.data(), sizeof report);
  if (!slot.task) return;
  switch (report.kind) {
    case WorkerReport::Kind::kReleased:
      slot.task->connection.Reset();
      return;
    case WorkerReport::Kind::kStored:
      return Finish(slot, {TaskResult::End::kStored, {}});
    case WorkerReport::Kind::kFailed:
      return Finish(slot, {TaskResult::End::kFailed,
                           std::string(report.error, ::strnlen(report.error, sizeof report.error))});
  }
}

void WorkerPool::Finish(Slot& slot, TaskResult result) {
  slot.watchdog = EventSource();
  CaptureTask task = std::move(*slot.task);
  slot.task.reset();
  if (slots_.size() > wanted_)  // not here: it may remove the slot whose callback this is
    if (auto later = loop_.After(std::chrono::nanoseconds(0), [this] { DropSurplus(); }))
      shrink_ = std::move(*later);
  handler_.done(std::move(task), std::move(result));
}

void WorkerPool::OnDeath(Slot& slot, int status) {
  const std::string why = slot.killed.empty() ? DescribeDeath(status) : slot.killed;
  slot.pid = -1;   // from here on nothing is given to it
  OnReport(slot);  // what it said before it died
  EndLost(slot, why);
}

/// The end of a worker that is gone, or might as well be.
void WorkerPool::EndLost(Slot& slot, const std::string& why) {
  slot.readable = EventSource();
  slot.socket.Reset();
  if (slot.task) {
    ReleaseConnection(slot.task->connection);
    Finish(slot, {TaskResult::End::kWorkerLost, why});
  }
  Replace(slot);
}

}  // namespace obit
