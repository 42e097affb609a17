#pragma once

// For tests. Included by them only.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "manager/fair_queue.h"
#include "manager/manager.h"
#include "policy/decide.h"
#include "policy/load.h"
#include "policy/rules.h"

namespace obit::testing {

/// So much later than `since`.
[[nodiscard]] inline bool Past(std::int64_t now, std::int64_t since, ManagerLimits::Nanoseconds time) {
  return now >= since + time.count();
}

/// A crash, as it is in the simulated world.
struct SimulatedCrash {
  CrashKey key = 0;
  std::optional<uid_t> uid;
  [[nodiscard]] User user() const { return {uid}; }
  bool pipe = false, abandoned = false;
  std::int64_t arrived = 0;
  std::uint64_t core_limit = UINT64_MAX;
  bool request_read = false, has_offer = false, lost = false, repeat = false;
  bool traced = false;      // a worker had it, for the trace alone
  bool trace_open = false;  // and its order is not done

  bool held = true, exited = false, killed = false, seen_working = false;
  std::int64_t let_go = 0, quiet_since = 0, killed_at = 0;
  std::optional<std::uint64_t> ticks;

  std::optional<Detail> answered;
  std::optional<CoredumpMark> mark;
  std::int64_t answered_at = 0;

  bool asked_site = false, asked_again = false, site_lost = false, asked_facts = false, facts_over = false;
  std::optional<CrashSite> site;
  std::optional<Config> ruled;  // by the rule that won
  [[nodiscard]] bool rejected() const { return ruled && ruled->detail == Detail::kReject; }
  std::int64_t known_at = 0;  // the last of what it waits for before its turn
  int captures = 0, recoveries = 0, handovers = 0;
  std::int64_t tried_at = 0;   // when a worker was to have it, the first time
  bool was_short = false;      // something, or somebody was gone, at a handover
  std::optional<Seat> worker;  // that has it
  bool worker_lost = false;    // the last one that had it
  std::int64_t left_at = 0;    // for a recovery, at the earliest
  std::optional<bool> stored;  // what the last one said
  std::uint64_t core_bytes = 0;
  std::uint64_t resident = 0;
  CoreBytes promised;        // of the disk's room
  bool had_no_room = false;  // when it was answered, or begun for its trace
  bool order_done = false;   // the clerk's next word has what it takes
  bool ended = false, order_open = false, forgotten = false;
};

/// Who sits somewhere, or sat there and is not dead.
struct SimulatedSitter {
  enum class Task { kNone, kSite, kFacts, kActivity, kDoor, kCapture, kTrace, kRecovery };
  Seat seat;
  bool idle = true, left_behind = false, killed = false;
  bool hangs_up = false;                 // a task could not be given to it
  bool has_read = false;                 // of a capture: the process is not needed any more
  bool may_keep = false, keeps = false;  // memory of a process that is gone
  bool aside = false;                    // and left its seat for that
  bool let_go = false;                   // somebody wants it back
  std::int64_t kept_since = 0;
  Task task = Task::kNone;
  CrashKey crash = 0;
  std::optional<User> user;  // whose, until it is dead or done
  std::int64_t asked = 0, first = 0, killed_at = 0;
  std::uint64_t counter = 0;
  std::uint64_t jobs = 0;                   // begun and done
  std::int64_t progressed = 0, worked = 0;  // or it was let go meanwhile; its counter
};

/// Sees every event and every command, knows what is true, and says what is wrong: against the rules of
/// manager.h, too late, or too early.
class Referee {
 public:
  explicit Referee(const Manager::Setup& setup)
      : setup_(setup), loosest_(setup.limits), tightest_(setup.limits) {
    Take(setup.config);
  }

  /// An event that the manager is told next.
  void See(const Event& event, std::int64_t now);
  /// A command of the manager's.
  void Judge(const Command& command);
  /// All commands of an event were seen.
  void JudgeState(const Manager& manager);
  /// No crash is open any more, and none will come.
  void JudgeCrashes(Manager& manager);
  /// The same, and nobody has anything to do, or is still to die.
  void JudgeEnd(Manager& manager);
  /// The manager was called so much too late.
  void Late(std::int64_t time) { late_ += time; }
  void Wrong(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }
  /// Empty: nothing is.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  SimulatedCrash* Find(CrashKey key);
  SimulatedSitter* Find(const Seat& seat);
  void Progress(SimulatedSitter& sitter, std::int64_t now);

  std::map<CrashKey, SimulatedCrash> crashes;  // those too that are forgotten
  std::vector<SimulatedSitter> sitters;
  std::vector<bool> vacant_pumps = std::vector<bool>(8);
  bool fair = false;  // nobody but user 0 makes trouble

 private:
  using Task = SimulatedSitter::Task;

  void Take(const Config& config);
  void On(const event::Arrived& arrived);
  void On(const event::RequestRead& read);
  void On(const event::MarkRead& read);
  void On(const event::ConnectionLost& lost);
  void On(const event::ProcessExited& exited);
  void On(const event::SiteFound& found);
  void On(const event::FactsFound& found);
  void On(const event::ActivityFound& found);
  void On(const event::DoorSeen& seen);
  void On(const event::DoorLeft& left);
  void On(const event::SeatReady& ready);
  void On(const event::SeatLost& lost);
  void On(const event::HandoverFailed& failed);
  void On(const event::CaptureReleased& released);
  void On(const event::MemoryCopied& copied);
  void On(const event::LetGo& wanted);
  void On(const event::CaptureEnded& ended);
  void On(const event::OrderDone& done);
  void On(const event::Abandoned& abandoned);
  void On(const event::KeptIsGone&) { kept_is_gone_ = true; }
  void On(const event::TracesWanted& wanted) { traces_wanted_ = wanted.room; }
  void On(const event::RoomTold& told);
  void On(const event::Configured& configured);
  void On(const event::Stopping&) { stop_at_ = now_ + setup_.limits.stop.count(); }
  void On(const event::Tick&) {}

  void On(const command::AskSite& ask);
  void On(const command::AskFacts& ask);
  void On(const command::AskActivity& ask);
  void On(const command::Answer& answer);
  void On(const command::Release& release);
  void On(const command::KillProcess& kill);
  void On(const command::StartCapture& start);
  void On(const command::StartRecovery& start);
  void On(const command::Record& record);
  void On(const command::Commit& commit);
  void On(const command::KeepWithoutCore& keep);
  void On(const command::Count& count);
  void On(const command::NoteRepeats& note);
  void On(const command::KeepDoor& keep);
  void On(const command::TurnAway& turn);
  void On(const command::LookAtDoor&) {}
  void On(const command::LeaveDoor& leave);
  void On(const command::Kill& kill);
  void On(const command::LeaveBehind& leave);
  void On(const command::Forget& forget);
  void On(const command::HoldJobs& hold);
  void On(const command::Say&) {}
  void On(const command::Stopped&);

  /// The crash that a command names; one made up if there is none.
  SimulatedCrash& Open(CrashKey key, const char* command);
  SimulatedSitter* Asked(const Seat& seat, CrashKey crash, Task task);
  void Ask(CrashKey crash, const Seat& seat, Task task, const char* command);
  SimulatedSitter* Start(CrashKey crash, const Seat& seat, Task task, const char* command);
  void End(SimulatedCrash& crash, bool by_order, const char* command);
  void StartTrace(const command::StartCapture& start);
  void LoseQuestion(const SimulatedSitter& inspector);
  void LoseWorker(SimulatedSitter& worker);
  void Free(SimulatedSitter& sitter);
  void ExpectInspected(const SimulatedCrash& crash, bool now);
  void ExpectFewCores(const SimulatedCrash& crash);
  [[nodiscard]] bool Decided(const SimulatedCrash& crash, Detail detail,
                             std::optional<std::uint64_t> core_max = {}) const;
  [[nodiscard]] bool HasRoom(const CoreBytes& core) const;
  [[nodiscard]] bool HasRoomForMinimal(const SimulatedCrash& crash) const;
  [[nodiscard]] bool MayBeLowered(const SimulatedCrash& crash, Shortage what, std::uint64_t core_max) const;
  void NoteResident(SimulatedCrash& crash, std::uint64_t resident) const;
  void SawMemory(const std::optional<MemoryLoad>& load);
  [[nodiscard]] bool Distrusted(const User& user) const;
  [[nodiscard]] std::size_t WorkersOf(const User& user) const;
  [[nodiscard]] std::int64_t Moved() const;
  [[nodiscard]] bool MayBeGivenUp(const SimulatedSitter& worker) const;
  [[nodiscard]] bool GetsNoMore(const User& user) const;
  [[nodiscard]] bool MayHaveMore(const User& user) const;
  [[nodiscard]] bool SurelyWaits(const SimulatedCrash& crash) const;
  [[nodiscard]] static bool WaitsForRecovery(const SimulatedCrash& crash);
  [[nodiscard]] bool IsHeldUp(const SimulatedCrash& crash, const SimulatedSitter& by) const;
  [[nodiscard]] std::size_t Recoveries() const;
  void JudgeJobs(const Manager::Load& load);
  void JudgeRecoveries();
  [[nodiscard]] bool StopOver() const { return now_ >= stop_at_; }
  template <class Condition>
  [[nodiscard]] std::size_t Count(Role role, Condition condition) const {
    std::size_t count = 0;
    for (const SimulatedSitter& sitter : sitters)
      count += sitter.seat.role == role && condition(sitter) ? 1 : 0;
    return count;
  }
  void Expect(bool right, const char* what, CrashKey crash = 0) {
    if (!right && wrong_.empty()) wrong_ = fmt::format("crash {}: {}", crash, what);
  }
  void ExpectBy(std::int64_t deadline, const char* what, CrashKey crash = 0) {
    Expect(now_ <= deadline + late_, what, crash);
  }
  void JudgeTimes(const SimulatedCrash& crash);
  void JudgeTimes(const SimulatedSitter& sitter);
  void JudgeKeeper(const SimulatedSitter& keeper);
  void ExpectKeeperHadTime(const SimulatedSitter& keeper);

  Manager::Setup setup_;
  ManagerLimits loosest_, tightest_;  // that were ever in force
  std::vector<Config> configs_;       // the same
  std::vector<Config> ruled_;         // the same, by the rules of each
  DiskRoom room_;
  bool room_unsure_ = false;          // whether the manager believed what a worker said last
  std::optional<MemoryLoad> memory_;  // as it was told last
  std::int64_t memory_seen_ = 0;      // then
  std::int64_t now_ = 0, late_ = 0, stop_at_ = INT64_MAX;
  std::int64_t moved_ = 0, worked_ = 0;  // any worker: its captures; its counter
  std::int64_t may_have_moved_ = 0;      // the same; by whom the manager may have given up
  bool handover_failed_ = false;         // by this event
  std::int64_t joined_ = 0;              // the queue
  std::size_t queued_ = 0;
  std::int64_t queue_began_ = INT64_MAX, queue_ended_ = INT64_MAX;
  std::int64_t queue_surely_began_ = INT64_MAX;  // by a clock that stood still whenever the manager did
  std::int64_t recovered_ = 0;                   // when there was a recovery
  std::int64_t short_at_ = 0;                    // when a handover failed for a shortage
  std::map<Role, std::int64_t> full_at_;         // when no more could be left behind
  std::int64_t last_answer_ = 0;                 // of an inspector
  bool left_queue_ = false;                      // by the event that is told, maybe
  std::size_t left_ = 0;                         // at most so many did by that
  CrashKey site_found_ = 0;                      // by the event that is told
  struct Strike {
    User user;
    Seat seat;
    std::int64_t time = 0;
  };
  std::vector<Strike> strikes_;
  std::uint64_t counted_repeats_ = 0;
  std::size_t traces_wanted_ = 0;
  std::array<std::uint64_t, kDoorPlaces> door_counted_{};
  std::uint64_t counted_at_door_ = 0;
  std::int64_t door_moved_ = 0, granted_ = 0;
  std::int64_t boottime_ = 0;  // when the last site was found
  bool door_known_ = false, door_unseen_ = false, told_to_leave_ = false;
  bool kept_is_gone_ = false;  // some crash after which others were counted
  bool jobs_held_ = false, stopped_ = false;
  std::string wrong_;
};

}  // namespace obit::testing
