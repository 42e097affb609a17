#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "policy/retention.h"
#include "server/messages.h"

namespace obit {

/// A count that somebody else keeps, who begins anew with 0 when his process does.
struct ContinuedCount {
  std::uint64_t before = 0, now = 0;
  /// He has begun anew.
  void Continue() { before += std::exchange(now, 0); }
  [[nodiscard]] std::uint64_t total() const { return before + now; }
};

/// What is counted since the start of obitd, whichever clerk counts: plain numbers, for memory that outlives
/// each of them. One process at a time writes them. The manager tells totals, so nothing is missing of what a
/// clerk that died had not read.
struct MetricCounts {
  std::uint64_t crashes = 0;                        ///< recorded
  std::array<std::uint64_t, 5> outcomes{};          ///< by CrashOutcome
  std::array<std::uint64_t, 4> details{};           ///< by Detail
  std::array<std::uint64_t, 4> methods{};           ///< by CaptureMethod
  std::array<std::uint64_t, 4> transports{};        ///< by Transport
  std::array<std::uint64_t, kShortages> lowered{};  ///< by Shortage
  double held_seconds = 0;                          ///< that crashed processes were held
  std::uint64_t core_bytes = 0, stored_bytes = 0;
  std::uint64_t analysed = 0, not_analysed = 0;
  std::uint64_t lost = 0;  ///< crashes that the clerk could not record
  // What the manager counts.
  Tallies tallies_before, tallies;  ///< of the ledger: when obitd started, and as the manager told last
  std::uint32_t manager = 0;        ///< its generation
  std::uint32_t padding = 0;
  ContinuedCount refused;   ///< connections of others than the kernel
  ContinuedCount replaced;  ///< processes of obitd that died or hung
  // What the clerk's own parts count.
  ContinuedCount log_dropped;       ///< lines of the log
  ContinuedCount analyses_dropped;  ///< cores left without a report, since too many waited
  ContinuedCount hook_runs, hook_failures, hook_events_dropped;  ///< HookQueue::Counters
  /// What retention removed, by RetentionReason; and the bytes that it freed.
  std::array<std::uint64_t, kRetentionReasons> removed_cores{}, removed_crashes{};
  std::uint64_t removed_bytes = 0;

  [[nodiscard]] std::uint64_t repeated() const { return tallies.repeated - tallies_before.repeated; }
  [[nodiscard]] std::uint64_t rejected() const { return tallies.counted - tallies_before.counted; }
  [[nodiscard]] std::uint64_t over_budget() const { return tallies.over_budget - tallies_before.over_budget; }
  [[nodiscard]] std::uint64_t no_room() const { return tallies.no_room - tallies_before.no_room; }
  [[nodiscard]] std::uint64_t all_lost() const { return lost + tallies.lost - tallies_before.lost; }

  /// obitd starts, with that ledger.
  void Start(const Tallies& of_ledger) { tallies_before = tallies = of_ledger; }
  /// A clerk begins to count, which has the orders of that manager.
  void Continue(std::uint32_t manager_generation);
};
static_assert(std::is_trivially_copyable_v<MetricCounts>);

/// MetricCounts in memory that the supervisor shares with its clerks.
class SharedCounts {
 public:
  /// No child has it until it is let.
  [[nodiscard]] static Result<SharedCounts> Create();
  SharedCounts(SharedCounts&& other) noexcept;
  SharedCounts& operator=(SharedCounts&&) = delete;
  ~SharedCounts();

  [[nodiscard]] MetricCounts* get() const { return counts_; }
  /// Whether processes that are forked from here on have it in their memory.
  [[nodiscard]] Result<void> LetChildrenHaveIt(bool have) const;

 private:
  explicit SharedCounts(MetricCounts* counts) : counts_(counts) {}
  MetricCounts* counts_ = nullptr;
};

}  // namespace obit
