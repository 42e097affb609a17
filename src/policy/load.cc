#include "policy/load.h"

#include <algorithm>

namespace obit {

/// Some kernels do not tell the pressure; that little is available says less, but is known everywhere. The
/// pressure is of those too that wait within the limits of their own cgroups, which anybody may set: it
/// counts only where the host has little itself.
Lowered JudgeMemory(const MemoryLoad& load, const Config& config) {
  constexpr std::uint64_t kAvailablePart = 20;
  if (config.memory_pressure == 0) return {};
  const std::uint64_t limit = std::uint64_t{config.memory_pressure} * 100;
  constexpr std::uint64_t kLittle = 5;
  const bool has_little = load.total == 0 || load.available < load.total / kLittle;
  if (load.pressure)
    return *load.pressure < limit || !has_little
               ? Lowered{}
               : Lowered{.what = Shortage::kMemory, .has = *load.pressure, .needs = limit};
  if (load.total == 0 || load.available >= load.total / kAvailablePart) return {};
  return {.what = Shortage::kMemory, .has = load.available};
}

/// A small process tells how long a capture takes to begin and to end, not how fast memory is read.
void CapturePace::Captured(std::uint64_t resident, std::int64_t took) {
  constexpr std::uint64_t kTelling = 16 << 20;
  constexpr std::int64_t kMillisecond = 1'000'000;
  constexpr double kWeight = 0.25;  // of the last one
  if (resident < kTelling) return;
  const double rate = static_cast<double>(resident) * 1e9 / static_cast<double>(std::max(took, kMillisecond));
  rate_ = rate_ == 0 ? rate : rate_ + kWeight * (rate - rate_);
}

std::uint64_t CapturePace::TimeFor(std::uint64_t resident, std::size_t workers) const {
  constexpr double kMost = 1e6;  // seconds
  if (rate_ == 0) return 0;
  const double seconds =
      static_cast<double>(resident) / rate_ / static_cast<double>(std::max<std::size_t>(workers, 1));
  return static_cast<std::uint64_t>(std::min(seconds, kMost) * 1e9);
}

Lowered JudgeQueue(const WaitingCrashes& waiting, const CapturePace& pace, std::size_t workers,
                   std::int64_t queue_timeout) {
  if (!waiting.others) return {};
  const auto waited = static_cast<std::uint64_t>(std::max<std::int64_t>(waiting.waited, 0));
  const std::uint64_t takes = pace.TimeFor(waiting.resident, workers);
  if (takes > static_cast<std::uint64_t>(queue_timeout))
    return {.what = Shortage::kQueue, .has = waited, .needs = takes};
  if (waiting.waited > queue_timeout / 2) return {.what = Shortage::kQueue, .has = waited};
  return {};
}

}  // namespace obit
