#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "manager/seats.h"
#include "manager/state.h"
#include "manager/traces.h"

namespace obit {

/// Questions to inspectors, and their deadlines. No user has more than his share of them, those included that
/// were killed for a question about him and are not dead yet.
class Inspectors {
 public:
  Inspectors(ManagerState& state, Seats& seats, const Traces& traces)
      : state_(state), seats_(seats), traces_(traces) {}

  /// One that is free; null: none is.
  [[nodiscard]] Sitter* Free() { return seats_.Idle(Role::kInspector); }
  /// The same, for a question about this user's crashes.
  [[nodiscard]] Sitter* FreeFor(User user);
  /// How many of this user's share are taken; nothing: all.
  [[nodiscard]] std::optional<std::size_t> UsedBy(User user) const;
  /// Questions about this user have lately cost several inspectors, or those about everybody have cost many:
  /// he gets those only that ask no file system.
  [[nodiscard]] bool Distrusts(User user);

  void AskSite(Sitter& inspector, const OpenCrash& crash);
  void AskFacts(Sitter& inspector, const OpenCrash& crash, bool only_safe);
  void AskActivity(Sitter& inspector, const OpenCrash& crash);

  /// An answer came. False: to no question that is open.
  [[nodiscard]] bool Answered(const Seat& seat, CrashKey crash, Sitter::Task task, bool last);
  /// When the last answer came: others wait for them.
  [[nodiscard]] std::int64_t last_answer() const { return last_answer_; }

  /// The deadline of a question is over: the inspector is killed, and its crash goes on without it.
  void Overdue(Sitter& inspector);
  /// An inspector is dead, with a question.
  void Died(const Sitter& inspector);

 private:
  /// An inspector that was lost with a question.
  struct Strike {
    User user;
    Seat seat;
    std::int64_t time = 0;
  };
  void Begin(Sitter& inspector, Sitter::Task task, const OpenCrash& crash,
             ManagerLimits::Nanoseconds deadline);
  void Note(const Sitter& inspector);

  ManagerState& state_;
  Seats& seats_;
  const Traces& traces_;
  std::vector<Strike> strikes_;
  std::int64_t last_answer_ = 0;
};

}  // namespace obit
