#pragma once

#include <functional>

#include "process/event_loop.h"
#include "server/metrics.h"
#include "store/store.h"

namespace obit {

/// metrics.prom of the store, written at most once a second, and only after a change: an idle clerk sleeps.
class ClerkMetrics {
 public:
  /// `fill` sets what others count before it is written. `counts` as Metrics has them. All that is given
  /// outlives it.
  ClerkMetrics(EventLoop& loop, const Store& store, MetricCounts* counts, std::function<void(Metrics&)> fill);

  /// To count in. Changed() says that it was.
  [[nodiscard]] Metrics& counts() { return metrics_; }
  void Changed();
  void Enable(bool enabled) { enabled_ = enabled; }
  void Write();

 private:
  EventLoop& loop_;
  const Store& store_;
  std::function<void(Metrics&)> fill_;
  Metrics metrics_;
  bool enabled_ = true, failing_ = false;
  EventSource write_;
};

}  // namespace obit
