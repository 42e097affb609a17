#include "analyze/analyze.h"

#include "base/clock.h"

namespace obit {

struct Analysis::State {
  AnalysisJob job;
};

Analysis::Analysis(std::unique_ptr<State> state) : state_(std::move(state)) {}
Analysis::Analysis(Analysis&&) noexcept = default;
Analysis::~Analysis() = default;

Result<Analysis> Analysis::Prepare(AnalysisJob job) {
  auto state = std::make_unique<State>();
  state->job = std::move(job);
  return Analysis(std::move(state));
}

Report Analysis::Run() {
  Report report;
  report.id = state_->job.record.id;
  return report;
}

}  // namespace obit
