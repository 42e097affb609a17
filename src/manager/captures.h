#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "manager/endings.h"
#include "manager/events.h"
#include "manager/fair_queue.h"
#include "manager/keeping.h"
#include "manager/seats.h"
#include "manager/state.h"
#include "manager/traces.h"
#include "policy/load.h"

namespace obit {

/// The queue for workers, and what workers do. Workers have deadlines of their own; these here are for those
/// that cannot keep them: they wait for a disk, or for a file system that somebody maps. Then the process is
/// released all the same, the seat goes to another, and who is left behind may finish.
class Captures {
 public:
  Captures(ManagerState& state, Seats& seats, Traces& traces, Endings& endings, Keeping& keeping,
           Manager::Progress progress)
      : state_(state),
        seats_(seats),
        traces_(traces),
        endings_(endings),
        keeping_(keeping),
        progress_(std::move(progress)) {}

  void Enqueue(OpenCrash& crash);
  /// Gives it to a worker for the trace alone, if nobody waits for one. False: there is to be none.
  [[nodiscard]] bool StartTrace(OpenCrash& crash);
  void EnqueueRecovery(OpenCrash& crash, std::string why);
  /// The crash does not wait here any more.
  void Remove(OpenCrash& crash);
  /// The crash that there will be no trace of, if it was for that.
  [[nodiscard]] OpenCrash* On(const event::HandoverFailed& failed);
  void On(const event::CaptureReleased& released);
  void On(const event::MemoryCopied& copied);
  void On(const event::CaptureEnded& ended);
  void PumpReady(const Seat& pump) { vacant_pumps_.erase(pump.index); }
  void PumpLost(const Seat& pump) { vacant_pumps_.insert(pump.index); }
  /// A worker is dead.
  void Lost(const Sitter& worker, const std::string& why);

  /// Gives ready workers to what waits.
  void StartNext();
  /// Until when a crash waits for a worker.
  [[nodiscard]] std::int64_t WaitsUntil(const OpenCrash& crash) const;
  /// That time is over.
  void WaitedLong(OpenCrash& crash);
  /// It is time to look at a worker.
  void Look(Sitter& worker);
  /// What an earlier obitd left, and is not begun yet, is for the next one.
  void DropAbandoned();
  /// The time to stop is over.
  void KillAll(const std::string& why);

  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  /// When it is tried again to give somebody a task, after it failed for a shortage; else INT64_MAX.
  [[nodiscard]] std::int64_t NextTry() const {
    return short_until_ != 0 && queue_.size() + left_.size() > 0 ? short_until_ : INT64_MAX;
  }
  /// When a recovery is due, if a worker is ready for it; INT64_MAX: nothing is.
  [[nodiscard]] std::int64_t NextRecovery() const;

 private:
  void Join(OpenCrash& crash);
  [[nodiscard]] bool StartCapture();
  [[nodiscard]] Sitter* IdleFor(const OpenCrash& crash);
  [[nodiscard]] const CapturePace& PaceOf(User user) const;
  [[nodiscard]] WaitingCrashes WaitingWith(const OpenCrash& crash) const;
  struct Turn {
    Detail detail = Detail::kFull;
    Lowered why;
  };
  [[nodiscard]] Turn TurnOf(const OpenCrash& crash) const;
  void TakeNoCore(OpenCrash& crash, const Turn& turn);
  using Left = std::set<std::pair<std::int64_t, CrashKey>>;
  [[nodiscard]] bool StartRecovery();
  [[nodiscard]] bool StartRecoveryThatIsDue();
  template <class Condition>
  [[nodiscard]] Left::const_iterator NextLeft(Condition condition) const;
  void BeginRecovery(CrashKey key);
  [[nodiscard]] std::int64_t RecoveryDue() const;
  [[nodiscard]] bool RecoveryIsDue() const { return state_.now >= RecoveryDue(); }
  void Begin(Sitter& worker, Sitter::Task task, OpenCrash& crash);
  [[nodiscard]] bool MayHaveAny(User user) const;
  [[nodiscard]] std::optional<std::size_t> UsedBy(User user, std::size_t freed = 0) const;
  [[nodiscard]] bool HasTries(OpenCrash& crash, event::HandoverFailed::Cause cause) const;
  [[nodiscard]] std::int64_t LastProgress() const;
  [[nodiscard]] OpenCrash* CrashOf(const Seat& seat, CrashKey key);
  void SeeProgress(Sitter& worker);
  [[nodiscard]] bool HoldsUpOthers(const Sitter& worker);
  void LookAtHeld(Sitter& worker, OpenCrash& crash);
  void LookAtReleased(Sitter& worker);
  void GoOnWithout(OpenCrash& crash, Sitter::Task task, const std::string& why);

  ManagerState& state_;
  Seats& seats_;
  Traces& traces_;
  Endings& endings_;
  Keeping& keeping_;
  Manager::Progress progress_;
  FairQueue queue_;
  struct Waiting {
    std::size_t crashes = 0;
    std::uint64_t resident = 0;
  };
  std::map<User, Waiting> waiting_;  // in `queue_`
  std::map<User, CapturePace> pace_of_;
  bool unqueued_ = false;  // a crash was, and is to be answered before anything else begins
  Left left_;              // for a recovery, since then
  std::set<std::uint32_t> vacant_pumps_;
  std::int64_t last_progress_ = 0;      // of any worker
  std::int64_t short_until_ = 0;        // nobody can be given anything; 0: somebody can
  std::int64_t last_recovery_ = 0;      // when there was one
  std::optional<User> last_recovered_;  // whose was the last one that was begun
};

}  // namespace obit
