#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "catalog/summary.h"
#include "crash/record.h"
#include "crash/report.h"
#include "server/metric_counts.h"

namespace obit {

/// What obitd did since it started, in the text format of Prometheus (exposition format 0.0.4), for the
/// textfile collector of its node exporter. Only numbers: everybody may read it.
class Metrics {
 public:
  /// `shared` outlives it; nullptr: the counts are its own.
  explicit Metrics(MetricCounts* shared = nullptr) : total(shared == nullptr ? own_ : *shared) {}
  Metrics(Metrics&&) = delete;

  void CountCrash(const CrashRecord& record);
  void CountReport(const Report& report) { ++(report.failure.empty() ? total.analysed : total.not_analysed); }

 private:
  MetricCounts own_;

 public:
  MetricCounts& total;  ///< since the start of obitd

  // Now. Set before it is rendered.
  std::uint64_t queued = 0;       ///< crashes that wait for a capture
  std::uint64_t captures = 0;     ///< that run
  std::uint64_t left_behind = 0;  ///< processes of obitd that were replaced and do not die
  std::uint64_t kept = 0;         ///< processes that are gone, and have their memory kept until it is copied
  std::uint64_t kept_bytes = 0;   ///< of that memory
  std::optional<bool> pattern_ours;  ///< the core pattern leads here; nothing: nobody has looked yet
  StoreUse store;
  std::uint64_t store_free_bytes = 0;              ///< of its file system
  std::optional<std::uint64_t> store_limit_bytes;  ///< what retention lets it hold

  [[nodiscard]] std::string Render() const;
};

}  // namespace obit
