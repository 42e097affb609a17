#pragma once

#include <cstdint>
#include <vector>

#include "manager/manager.h"

namespace obit {

/// Hears all that the manager's core is told and asks, and all that it wants done: for tests, which hold that
/// against the core's rules. None of it may wait, as nothing in the manager does.
class ManagerWitness {
 public:
  virtual ~ManagerWitness() = default;
  /// The core is told this next.
  virtual void Hear(const Event& event, std::int64_t now) = 0;
  /// It asked for a worker's progress (Manager::Progress), and this was the answer.
  virtual void HearProgress(const Seat& seat, std::uint64_t progress) = 0;
  /// What it wants done about the event, of which nothing is done yet.
  virtual void Hear(const std::vector<Command>& commands, const Manager& manager) = 0;
};

}  // namespace obit
