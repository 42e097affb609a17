#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "policy/config.h"
#include "server/event_loop.h"
#include "server/peer.h"
#include "server/worker.h"

namespace obit {

/// A job for a worker and what becomes of it.
struct CaptureTask {
  WorkerJob job;
  Fd dir, connection, exe;  ///< of WorkerJob; empty ones are not sent
  std::optional<ProcessMemory> memory;
  std::vector<MappedFile> mapped;  ///< for the analysis; not sent
  Peer peer;                       ///< whose memory can be opened when the task's turn comes; not sent
  bool is_socket = true;           ///< the connection can be shut down (not a pipe)
  std::string id;                  ///< of the crash, for messages
};

/// How a task ended: stored; or failed with an error; or the worker died or was killed.
struct TaskResult {
  enum class End { kStored, kFailed, kWorkerLost };
  End end = End::kStored;
  std::string why;
};

/// The capture workers: processes forked once that wait for tasks. Each has a watchdog: a worker that
/// overruns the deadlines by kGrace is killed and the connection shut down, so that no process hangs on it.
/// One that cannot die (it reads a file of a dead server) is left behind after another kGrace. A lost worker
/// is replaced, as soon as the system can fork again.
class WorkerPool {
 public:
  /// What the pool tells, on the loop.
  struct Handler {
    std::function<void(CaptureTask task, TaskResult result)> done;  ///< once for each task given to Start()
    std::function<void()> replaced;                                 ///< a lost worker's successor is idle
  };

  /// How much longer than its own deadlines a worker gets before it is killed.
  static constexpr std::chrono::seconds kGrace{5};

  /// Forks `count` workers, for crashes below `incoming`, which outlives the pool: the caller has no other
  /// thread.
  [[nodiscard]] static Result<std::unique_ptr<WorkerPool>> Create(EventLoop& loop, const Fd& incoming,
                                                                  unsigned count, Handler handler);
  ~WorkerPool();

  [[nodiscard]] bool HasIdle() const;
  [[nodiscard]] std::size_t busy() const;
  /// Gives the task to an idle worker; gives it back if there is none that lives.
  [[nodiscard]] std::optional<CaptureTask> Start(CaptureTask task);
  /// Kills what is running; each task ends as kWorkerLost.
  void KillBusy(const std::string& why);
  /// Changes the number of workers: more are forked at once, surplus ones go when idle.
  [[nodiscard]] Result<void> Resize(unsigned count);

 private:
  struct Slot;
  WorkerPool(EventLoop& loop, const Fd& incoming, Handler handler);
  Result<void> Fork(Slot& slot);
  void Replace(Slot& slot);
  static void End(Slot& slot);
  static std::vector<int> DescriptorsOf(CaptureTask& task);
  void OnReport(Slot& slot);
  void OnDeath(Slot& slot, int status);
  void Check(Slot& slot);
  void Kill(Slot& slot, const std::string& why);
  void LeaveBehind(Slot& slot);
  void EndLost(Slot& slot, const std::string& why);
  void Finish(Slot& slot, TaskResult result);
  void DropSurplus();

  EventLoop& loop_;
  const Fd& incoming_;
  Handler handler_;
  std::size_t wanted_ = 0;
  EventSource shrink_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::map<int, EventSource> left_behind_;  // by pid: killed, and not dead yet
};

}  // namespace obit
