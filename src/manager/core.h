#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "manager/captures.h"
#include "manager/door.h"
#include "manager/endings.h"
#include "manager/inspection.h"
#include "manager/inspectors.h"
#include "manager/keeping.h"
#include "manager/manager.h"
#include "manager/patient_clock.h"
#include "manager/release_watch.h"
#include "manager/seats.h"
#include "manager/state.h"
#include "manager/traces.h"

namespace obit {

/// Leads each crash from its arrival to what it ends in, and events and deadlines to who handles them.
class Manager::Core {
 public:
  Core(Setup setup, Progress progress);

  [[nodiscard]] std::vector<Command> On(const Event& event, std::int64_t now);
  [[nodiscard]] bool Keeps(std::string_view id) const { return keeping_.Keeps(id); }
  [[nodiscard]] std::int64_t NextDeadline() const { return clock_.ToMonotonic(NextWakeup()); }
  [[nodiscard]] std::vector<RepeatsOfKept> TakeRepeats() { return state_.sites.TakeRepeats(); }
  template <class Save>
  void TakeSites(const Save& save) {
    state_.sites.TakeChanged(save);
  }
  [[nodiscard]] Load load() const;

 private:
  // Arrival and answer.
  void On(const event::Arrived& arrived);
  void On(const event::RequestRead& read);
  void On(const event::MarkRead& read);
  void On(const event::ConnectionLost& lost);
  void DecideAndAnswer(OpenCrash& crash);
  void CountIfThereIsNoRoom(OpenCrash& crash);
  void TakeBudget(OpenCrash& crash);
  void GoOnWithoutCore(OpenCrash& crash);
  void AnswerWithoutCore(OpenCrash& crash);
  void EndAsDecided(OpenCrash& crash);
  void Fail(OpenCrash& crash, std::string reason);

  // For others.
  void On(const event::SiteFound& found) { inspection_.On(found); }
  void On(const event::FactsFound& found) { inspection_.On(found); }
  void On(const event::ActivityFound& found) { released_.On(found); }
  void On(const event::DoorSeen& seen) { door_.On(seen); }
  void On(const event::DoorLeft& left) { door_.On(left); }
  void On(const event::HandoverFailed& failed);
  void On(const event::CaptureReleased& released) { captures_.On(released); }
  void On(const event::MemoryCopied& copied) { captures_.On(copied); }
  void On(const event::LetGo& wanted) { keeping_.LetGo(wanted.id); }
  void On(const event::CaptureEnded& ended) { captures_.On(ended); }
  void On(const event::SeatReady& ready);
  void On(const event::SeatLost& lost);
  void On(const event::ProcessExited& exited);
  void On(const event::OrderDone& done);
  void On(const event::Abandoned& abandoned);
  void On(const event::KeptIsGone& gone);
  void On(const event::TracesWanted& wanted) { traces_.On(wanted); }
  void On(const event::RoomTold& told);
  void On(const event::Configured& configured);
  void On(const event::Stopping& stopping);
  void On(const event::Tick&) {}
  void Unanswered(CrashKey key, Sitter::Task task);

  // What follows from each event, and from time alone.
  void Advance();
  void Settle(OpenCrash& crash);
  [[nodiscard]] std::int64_t Next() const;
  [[nodiscard]] std::int64_t NextWakeup() const;  // jobs that are held included
  [[nodiscard]] std::int64_t WaitsUntil(const OpenCrash& crash) const;
  void WaitedLong(OpenCrash& crash);
  void WaitedLong(Sitter& sitter);
  void HoldJobs();
  [[nodiscard]] std::int64_t JobsHeldUntil() const;
  void StopIsOver();

  ManagerState state_;
  PatientClock clock_;
  Seats seats_;
  Traces traces_;
  Inspectors inspectors_;
  Door door_;
  Inspection inspection_;
  ReleaseWatch released_;
  Endings endings_;
  Keeping keeping_;
  Captures captures_;
  std::optional<std::int64_t> queue_began_;  // to be not empty, but for moments
  std::optional<std::int64_t> queue_ended_;
  bool jobs_held_ = false;
  bool stopped_ = false;
  std::int64_t stop_at_ = INT64_MAX;
};

}  // namespace obit
