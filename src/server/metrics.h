#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "crash/record.h"
#include "crash/report.h"
#include "server/hook_queue.h"
#include "store/index.h"

namespace obit {

inline constexpr const char* kMetricsFile = "metrics.prom";  ///< in the store

/// What obitd did since it started, in the text format of Prometheus (exposition format 0.0.4), for the
/// textfile collector of its node exporter. Only numbers: everybody may read it.
class Metrics {
 public:
  void CountCrash(const CrashRecord& record);
  void CountReport(const Report& report) { ++(report.failure.empty() ? analysed_ : not_analysed_); }

  // Set before it is rendered.
  std::uint64_t rejected = 0;          ///< crashes that were only counted, as the configuration says
  std::uint64_t repeated = 0;          ///< those of crash loops
  std::uint64_t lost = 0;              ///< crashes without a record
  std::uint64_t refused = 0;           ///< connections of others than the kernel
  std::uint64_t queued = 0;            ///< crashes that wait for a capture, now
  std::uint64_t captures = 0;          ///< that run, now
  std::uint64_t analyses_dropped = 0;  ///< cores left without a report, since too many waited
  std::optional<bool> pattern_ours;    ///< the core pattern leads here; nothing: nobody has looked yet
  HookQueue::Counters hooks;
  StoreUse store;                      ///< now
  std::uint64_t store_free_bytes = 0;  ///< of its file system, now

  [[nodiscard]] std::string Render() const;

 private:
  std::map<std::string_view, std::uint64_t> outcomes_, details_, methods_;
  std::map<std::string, std::uint64_t> transports_;
  std::uint64_t crashes_ = 0, core_bytes_ = 0, stored_bytes_ = 0, analysed_ = 0, not_analysed_ = 0;
  double held_seconds_ = 0;
};

}  // namespace obit
