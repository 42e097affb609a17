#include "manager/traces.h"

#include <utility>

namespace obit {

/// One worker stays free: the next crash that is to have a core does not wait for a trace.
bool Traces::HasRoomFor(const OpenCrash& crash) const {
  const Config& config = state_.ConfigOf(crash);
  return config.traces && config.direct && config.analyze && !crash.site_has_core && !state_.stopping &&
         open_ < room_ && seats_.IdleWorkers() > 1;
}

void Traces::Begun(OpenCrash& crash) {
  crash.trace = true;
  ++open_;
}

void Traces::Over(OpenCrash& crash) {
  if (std::exchange(crash.trace, false)) --open_;
}

}  // namespace obit
