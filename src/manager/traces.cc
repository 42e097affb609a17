#include "manager/traces.h"

#include <utility>

namespace obit {

/// One worker stays free: the next crash that is to have a core does not wait for a trace. It takes memory,
/// and until then its process keeps its own.
bool Traces::HasRoomFor(const OpenCrash& crash) const {
  const Config& config = state_.ConfigOf(crash);
  const auto has = open_of_.find(crash.user());
  if (has != open_of_.end() && has->second >= ShareOf(room_)) return false;
  return config.traces && config.direct && config.analyze && !crash.site_has_core && !state_.stopping &&
         open_ < room_ && seats_.IdleWorkers() > 1 && !state_.ShortOfMemory();
}

void Traces::Begun(OpenCrash& crash) {
  crash.trace = true;
  ++open_;
  ++open_of_[crash.user()];
}

void Traces::Over(OpenCrash& crash) {
  if (!std::exchange(crash.trace, false)) return;
  --open_;
  if (const auto has = open_of_.find(crash.user()); --has->second == 0) open_of_.erase(has);
}

}  // namespace obit
