#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "manager/commands.h"
#include "manager/events.h"
#include "policy/crash_sites.h"

namespace obit {

/// The part of obitd that keeps the deadlines, without its calls to the system: events in, commands out.
/// Nothing in it depends on anything but what it is told, so that a simulator can show it every order of
/// events (manager_test.cc).
///
/// Each crash that arrives ends in exactly one Record, Commit, KeepWithoutCore or Count, and one Forget; its
/// process is let go by one Release, or by a worker (CaptureReleased), within its deadlines whatever anybody
/// else does. The exception: when the time to stop is over, what workers were killed over, and what waits for
/// its recovery, stays in incoming/ for the next start, and is only forgotten.
///
/// Called much later than NextDeadline, as where the machine stood still, it takes the time as missed, and
/// moves its deadlines (patient_clock.h): the answers of others are read first.
class Manager {
 public:
  struct Setup {
    Config config;
    ManagerLimits limits;
    std::uint32_t inspectors = 4, workers = 4;  ///< seats
    HashKey site_key;                           ///< of the states of sites
    std::vector<SiteState> sites;               ///< what an earlier manager knew of them
  };
  /// What a worker has done so far, in any unit that grows: asked at looks, never waits.
  using Progress = std::function<std::uint64_t(const Seat&)>;

  Manager(Setup setup, Progress progress);
  ~Manager();
  Manager(Manager&&) = delete;

  /// `now` never goes back.
  [[nodiscard]] std::vector<Command> On(const Event& event, std::int64_t now);
  /// When a Tick is due, CLOCK_MONOTONIC in ns; INT64_MAX: nothing waits for the time.
  [[nodiscard]] std::int64_t NextDeadline() const;

  /// What crash loops repeated since the last call, for the clerk.
  [[nodiscard]] std::vector<RepeatsOfKept> TakeRepeats();
  /// What is known of sites and has changed since the last call, for the next manager (Setup::sites).
  void TakeSites(const std::function<void(std::uint32_t index, const SiteState& state)>& save);

  /// Memory of processes that are gone.
  struct Kept {
    std::size_t processes = 0;
    std::uint64_t bytes = 0;
  };
  /// For metrics.
  struct Load {
    std::size_t open = 0;      ///< crashes whose process may still be held
    std::size_t queued = 0;    ///< of them, those that wait for a worker
    std::size_t captures = 0;  ///< that run
    std::size_t left_behind = 0;
    Kept kept;
  };
  [[nodiscard]] Load load() const;
  /// Memory is kept of the crash with this id, which LetGo would let go.
  [[nodiscard]] bool Keeps(std::string_view id) const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace obit
