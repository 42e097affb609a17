#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "policy/config.h"
#include "server/analysis_queue.h"
#include "server/event_loop.h"
#include "server/hook_queue.h"
#include "server/intake.h"
#include "server/metrics.h"
#include "server/peer.h"
#include "server/released_processes.h"
#include "server/worker_pool.h"
#include "store/commit.h"
#include "store/index.h"
#include "store/store.h"

namespace obit {

/// The coredump server: what comes in is queued, captured by workers, committed to the store, analysed, and
/// told to hooks.
/// Nothing here reads a core.
class Server {
 public:
  struct Counters {
    std::uint64_t committed = 0;  ///< records in the store
    std::uint64_t rejected = 0;   ///< crashes that were only counted, as the configuration says
    std::uint64_t repeated = 0;   ///< those of crash loops, which were only counted too
    std::uint64_t lost = 0;       ///< crashes without even a record; each was logged with what was known
  };

  /// Takes the store for itself (EBUSY: another server has it), recovers what a dead one left, forks the
  /// workers and begins to listen. The caller has no other thread; `loop` and `inspector` outlive the server.
  /// `analyzer` is the path of obit-analyze; empty: cores are only kept.
  [[nodiscard]] static Result<std::unique_ptr<Server>> Create(EventLoop& loop, Store store,
                                                              Intake::Listeners listeners,
                                                              const Config& config, PeerInspector& inspector,
                                                              std::string analyzer);
  ~Server();

  /// Takes the new configuration for the crashes to come.
  [[nodiscard]] Result<void> Reconfigure(const Config& config);
  /// For the metrics: whether the kernel's core pattern leads here.
  void NotePattern(bool ours);
  /// Listens no more; captures and hooks that run or wait may end within the stop timeout, and are let go
  /// then. Stops the loop when nothing is left.
  void Stop();

  [[nodiscard]] const Store& store() const { return store_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] const Intake::Counters& intake_counters() const { return intake_.counters(); }

 private:
  Server(EventLoop& loop, Store store, Intake::Listeners listeners, const Config& config,
         PeerInspector& inspector, std::string analyzer);

  void Enqueue(Arrival arrival);
  void StartQueued();
  void StartTasks();
  void OpenMemory(CaptureTask& task);
  void OpenMappedFiles(CaptureTask& task);
  void OnTaskDone(CaptureTask task, const TaskResult& result);
  Result<void> RecoverAbandoned();
  void QueueRecovery(const std::string& id, Fd dir, const std::string& reason);
  void KeepRecord(CrashRecord record);
  void KeepWithoutCore(const std::string& id, const std::string& reason);
  void Commit(const std::string& id, std::vector<MappedFile> mapped);
  void Announce(const CrashLocation& location, const CrashRecord& record);
  void AnnounceReport(const CrashLocation& crash, const Report& report);
  void OnReport(const CrashLocation& crash, const Report& report);
  void ScheduleMetrics();
  void WriteMetrics();
  void ScheduleRepeats();
  void WriteRepeats(std::size_t most);
  void NoteRepeats(const CrashLoops::Count& count);
  [[nodiscard]] Result<CrashRecord> LoadForCommit(const Fd& incoming);
  void NumberTheRest();
  void ScheduleNumbers();
  void ScheduleSync();
  void SyncCommitted();
  void Lose(const CrashRecord& record, const std::string& why);
  void GiveUp();
  void StopIfDone();

  EventLoop& loop_;
  Store store_;
  Fd store_lock_;  // incoming/
  StoreNumbers numbers_;
  std::optional<Index> index_;
  Config config_;
  PeerInspector& inspector_;
  ReleasedProcesses released_;
  AnalysisQueue analyses_;
  HookQueue hooks_;
  Intake intake_;
  std::unique_ptr<WorkerPool> pool_;
  EventSource sync_, stop_, measure_, repeat_, number_;
  Metrics metrics_;
  std::deque<CaptureTask> queue_;                     // wait for a worker
  std::set<std::string> recovering_;                  // ids given to a worker for recovery: once only
  std::map<std::string, CrashLoops::Count> repeats_;  // by id, not in the store yet
  std::string repeats_written_;                       // the id of the last one
  std::vector<CrashLocation> committed_;              // neither synced nor in the index yet
  static constexpr std::chrono::milliseconds kNumbersLater{200}, kNumbersMuchLater{60'000};
  std::chrono::milliseconds numbers_pause_ = kNumbersLater;  // until the next try to number them
  std::vector<CrashLocation> unnumbered_;                    // committed, but the number could not be had
  bool stopping_ = false;
  bool said_no_acls_ = false;
  Counters counters_;
};

}  // namespace obit
