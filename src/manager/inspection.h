#pragma once

#include <cstdint>

#include "manager/door.h"
#include "manager/events.h"
#include "manager/fair_queue.h"
#include "manager/inspectors.h"
#include "manager/state.h"

namespace obit {

/// What is found out about a crash before it is decided: its site, where crash loops are told, and then
/// facts, first those that cannot hang who looks. A crash goes on without what does not come in time.
class Inspection {
 public:
  Inspection(ManagerState& state, Inspectors& inspectors, Door& door)
      : state_(state), inspectors_(inspectors), door_(door) {}

  void Begin(OpenCrash& crash);
  /// Nothing more is asked about this crash.
  void End(OpenCrash& crash);
  void On(const event::SiteFound& found);
  void On(const event::FactsFound& found);
  /// No answer will come to what was asked.
  void Unanswered(OpenCrash& crash);

  /// Gives free inspectors to crashes that wait for one.
  void AskNext();
  /// Until when a crash waits for a free inspector; INT64_MAX: it does not wait.
  [[nodiscard]] std::int64_t WaitsUntil(const OpenCrash& crash) const;
  /// That time is over.
  void WaitedLong(OpenCrash& crash);

 private:
  void Want(OpenCrash& crash, OpenCrash::Wanted wanted);
  void TakeRule(OpenCrash& crash, std::uint32_t rule);
  void NoteResident(OpenCrash& crash, std::uint64_t resident);
  void Judge(OpenCrash& crash, const event::SiteFound& found);

  ManagerState& state_;
  Inspectors& inspectors_;
  Door& door_;
  FairQueue waiting_;
};

}  // namespace obit
