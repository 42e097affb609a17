#include "server/clerk_metrics.h"

#include <sys/stat.h>

#include "base/disk_space.h"
#include "base/io.h"
#include "base/log.h"

namespace obit {

ClerkMetrics::ClerkMetrics(EventLoop& loop, const Store& store, MetricCounts* counts,
                           std::function<void(Metrics&)> fill)
    : loop_(loop), store_(store), fill_(std::move(fill)), metrics_(counts) {}

void ClerkMetrics::Changed() {
  if (write_) return;
  if (auto later = loop_.After(std::chrono::seconds(1), [this] { Write(); })) write_ = std::move(*later);
}

void ClerkMetrics::Write() {
  write_ = EventSource();
  if (!enabled_) return;
  fill_(metrics_);
  if (const auto space = DiskSpaceOf(store_.root())) metrics_.store_free_bytes = space->free;
  const auto publish = [](const Fd& file) -> Result<void> {
    if (::fchmod(file.get(), kPublicFile) < 0) return Fail(errno, "let everybody read it");
    return {};
  };
  const auto written =
      WriteFileAtomically(store_.root(), kMetricsFile, metrics_.Render(), kPublicFile, publish);
  if (!written && !failing_) Log(Severity::kWarning, "metrics: {}", written.error().what);
  failing_ = !written;
}

}  // namespace obit
