#pragma once

#include <cstddef>
#include <cstdint>

#include "base/memory_load.h"
#include "config/config.h"
#include "policy/lowered.h"

namespace obit {

/// Whether memory is so short that no more than a minimal core is kept: until its capture is over, a crashed
/// process keeps its memory, and a full one brings back what was swapped out of it.
[[nodiscard]] Lowered JudgeMemory(const MemoryLoad& load, const Config& config);

/// How fast full cores were captured lately, as time goes for one worker, storing included.
class CapturePace {
 public:
  /// A capture of a process with so much memory took so long, ns.
  void Captured(std::uint64_t resident, std::int64_t took);
  /// What so many workers need for so much memory, ns; 0: that is not known.
  [[nodiscard]] std::uint64_t TimeFor(std::uint64_t resident, std::size_t workers) const;

 private:
  double rate_ = 0;  // bytes a second; 0: not known
};

/// What waits for workers when one is free for a crash.
struct WaitingCrashes {
  std::int64_t waited = 0;     ///< it has, ns
  bool others = false;         ///< more of its user's crashes wait
  std::uint64_t resident = 0;  ///< memory of its user's crashes that wait, with it
};
/// Whether no more than a minimal core of it is kept, for the sake of those behind it. A user whose crashes
/// do not wait for each other is not lowered for those of others.
[[nodiscard]] Lowered JudgeQueue(const WaitingCrashes& waiting, const CapturePace& pace, std::size_t workers,
                                 std::int64_t queue_timeout);

}  // namespace obit
