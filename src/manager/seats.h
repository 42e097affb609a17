#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "manager/deadlines.h"
#include "manager/seat.h"
#include "manager/state.h"

namespace obit {

/// Who sits somewhere, or sat there and is not dead yet.
struct Sitter {
  enum class State : std::uint8_t {
    kIdle,
    kBusy,
    kPreparing,  ///< a worker that is done, and not ready for the next
    kKilled,     ///< SIGKILL was sent
  };
  enum class Task : std::uint8_t { kSite, kFacts, kActivity, kDoor, kCapture, kTrace, kRecovery };

  Seat seat;
  State state = State::kIdle;
  bool left_behind = false;  // another has the seat
  Task task = Task::kSite;
  CrashKey crash = 0;        // that it has; 0: none, or the crash went on without it
  std::optional<User> user;  // whose share of the seats this is
  bool facts_begun = false;  // the first facts came
  bool has_read = false;     // a capture needs nothing of the process any more
  bool may_keep = false;     // its memory, when the process is gone; not decided yet
  bool keeps = false;        // it does
  bool aside = false;        // `left_behind` for that: another works in its place
  std::int64_t kept_since = 0;
  std::string held_up;  // why the manager let the process go
  std::int64_t started = 0, progressed = 0;
  std::uint64_t counter = 0;  // Manager::Progress when it progressed
  std::uint64_t begun = 0;    // and when the task began
  std::string killed;         // why
};

/// Who sits where, and is busy with what.
class Seats {
 public:
  explicit Seats(ManagerState& state) : state_(state) {}

  /// A new one sits there, whose predecessor is left behind if it is not dead; or one is ready again.
  void Ready(const Seat& seat);
  /// Takes a dead one out. Nothing: it is not known here.
  [[nodiscard]] std::optional<Sitter> Lose(const Seat& seat);
  [[nodiscard]] Sitter* Find(const Seat& seat);
  /// One that has nothing to do.
  [[nodiscard]] Sitter* Idle(Role role) {
    return Idle(role, [](const Seat&) { return true; });
  }
  template <class Condition>
  [[nodiscard]] Sitter* Idle(Role role, Condition condition) {
    for (auto& [seat, sitter] : sitters_)
      if (seat.role == role && sitter.state == Sitter::State::kIdle && condition(seat)) return &sitter;
    return nullptr;
  }
  void Begin(Sitter& sitter, Sitter::Task task, const OpenCrash& crash);
  /// The same of a task that is about no crash.
  void BeginDoor(Sitter& sitter);
  /// It has done its task.
  void Done(Sitter& sitter);
  /// There are fewer workers' seats now: who sits in the others ends with his task.
  void DropSurplus();
  /// It was not told of its task.
  void NotBegun(Sitter& sitter);

  /// SIGKILL. When it is not dead in time: Undead.
  void Kill(Sitter& sitter, std::string why);
  /// The deadline of one that was killed: it gives up its seat, if it can.
  void Undead(Sitter& sitter);
  /// Another takes the seat, unless too many are left behind already, or too many of this user's.
  void LeaveBehind(Sitter& sitter, const std::string& why);
  /// The same of a worker that keeps memory, and goes on with it at leisure.
  void StepAside(Sitter& worker);

  /// Inspectors that this user keeps from others, whether alive or not dead yet; workers' seats that he has;
  /// and workers that were killed over his crashes, lost their seats, and do not die.
  [[nodiscard]] std::size_t InspectorsOf(User user) const;
  /// Those that can be asked, be it later.
  [[nodiscard]] std::size_t Inspectors() const;
  [[nodiscard]] std::size_t WorkersOf(User user) const;
  [[nodiscard]] std::size_t UndeadWorkersOf(User user) const;
  [[nodiscard]] std::size_t Recoveries() const;
  [[nodiscard]] std::size_t IdleWorkers() const;
  /// Those that have a crash, whether they have a seat or not.
  [[nodiscard]] std::size_t BusyWorkers() const;
  /// Without those that stepped aside.
  [[nodiscard]] std::size_t left_behind() const;
  [[nodiscard]] std::size_t left_behind(Role role) const;

  template <class F>
  void ForEach(F each) {
    for (auto& [seat, sitter] : sitters_) each(sitter);
  }
  template <class F>
  void ForEach(F each) const {
    for (const auto& [seat, sitter] : sitters_) each(sitter);
  }

  Deadlines<Seat> waits;

 private:
  template <class Condition>
  [[nodiscard]] std::size_t Count(Condition condition) const {
    std::size_t count = 0;
    for (const auto& [seat, sitter] : sitters_) count += condition(sitter) ? 1 : 0;
    return count;
  }

  void KillIfUnneeded(Sitter& sitter);
  [[nodiscard]] bool MayBeReplaced(const Sitter& sitter) const;

  ManagerState& state_;
  std::map<Seat, Sitter> sitters_;
};

}  // namespace obit
