#include "manager/times.h"

namespace obit {
namespace {

/// A worker ends its capture by itself, and says why: only one that does not is hung up by the manager.
constexpr std::chrono::seconds kWorkerFirst{1};

}  // namespace

ManagerLimits LimitsOf(const Config& config) {
  ManagerLimits limits;
  limits.queue = config.queue_timeout;
  limits.held = config.progress_timeout + kWorkerFirst;
  limits.capture = config.capture_timeout + kWorkerFirst;
  limits.stop = config.stop_timeout;
  limits.keep = config.keep_timeout;
  return limits;
}

}  // namespace obit
