#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "manager/seat.h"

namespace obit {

/// Who sits where, who was left behind, and which empty seat is to be filled when. Nothing but the books of
/// the supervisor: whoever calls forks and kills. Times are ns of CLOCK_MONOTONIC.
class SupervisorSeats {
 public:
  struct Times {
    std::chrono::nanoseconds quick = std::chrono::seconds(1);  ///< who dies before has failed at his start
    std::chrono::nanoseconds first_pause = std::chrono::milliseconds(100);  ///< after it; then doubled
    std::chrono::nanoseconds longest_pause = std::chrono::seconds(5);
  };
  struct Process {
    Seat seat;
    pid_t pid = -1;
    std::int64_t started = 0;
    std::uint32_t manager = 0;     ///< the manager that was told of it; 0: none
    std::uint32_t counter = 0;     ///< of a worker: its number on the ProgressBoard
    bool expected = false;         ///< its death is no news
    std::int64_t end = INT64_MAX;  ///< it is left over from a manager that died: SIGKILL then
    bool killed = false;
    bool stopped = false;  ///< by a signal: killed for that
    bool hung = false;     ///< the manager: killed since it did nothing
  };

  explicit SupervisorSeats(Times times) : times_(times) {}

  /// So many seats of a role are to be filled. Who sits beyond them may stay, and gets no successor.
  void SetCount(Role role, std::uint32_t count);
  /// Seats that may be filled now, each with the generation of the next who sits there.
  [[nodiscard]] std::vector<Seat> Due(Role role, std::int64_t now) const;
  /// When the next seat of these, and others, may be filled; INT64_MAX: all are, or could be.
  [[nodiscard]] std::int64_t NextDue(std::int64_t now) const;

  Process& Sit(const Seat& seat, pid_t pid, std::int64_t now);
  /// Nobody could be forked: the seat is empty for a while.
  void Fail(const Seat& seat, std::int64_t now);
  /// The seat is free for another at once; the process stays in the books until it dies.
  void Leave(const Process& process);
  /// Takes a dead process out. `blamed`: if that was soon after its start, its successor comes later.
  [[nodiscard]] std::optional<Process> Take(pid_t pid, std::int64_t now, bool blamed);

  [[nodiscard]] Process* At(Role role, std::uint32_t index);
  [[nodiscard]] Process* Find(pid_t pid);
  /// All that live, also those left behind.
  [[nodiscard]] std::map<pid_t, Process>& processes() { return processes_; }
  [[nodiscard]] std::size_t left_behind() const;
  [[nodiscard]] bool IsLeft(const Process& process) const;

 private:
  struct Place {
    std::uint32_t generation = 0;  // of the last who sat there
    pid_t pid = -1;
    std::chrono::nanoseconds pause{0};
    std::int64_t not_before = 0;
  };
  static constexpr std::size_t kRoles = 6;
  [[nodiscard]] static std::size_t NumberOf(Role role) { return static_cast<std::size_t>(role); }
  void Pause(Place& place, std::int64_t now) const;
  [[nodiscard]] const Place* PlaceOf(const Seat& seat) const;

  Times times_;
  std::array<std::vector<Place>, kRoles> places_;
  std::array<std::uint32_t, kRoles> counts_{};
  std::map<pid_t, Process> processes_;
};

}  // namespace obit
