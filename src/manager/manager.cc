#include "manager/manager.h"

#include "manager/core.h"

namespace obit {

Manager::Manager(Setup setup, Progress progress)
    : core_(std::make_unique<Core>(std::move(setup), std::move(progress))) {}

Manager::~Manager() = default;

std::vector<Command> Manager::On(const Event& event, std::int64_t now) { return core_->On(event, now); }

std::int64_t Manager::NextDeadline() const { return core_->NextDeadline(); }

std::vector<RepeatsOfKept> Manager::TakeRepeats() { return core_->TakeRepeats(); }

void Manager::TakeSites(const std::function<void(std::uint32_t, const SiteState&)>& save) {
  core_->TakeSites(save);
}

Manager::Load Manager::load() const { return core_->load(); }

bool Manager::Keeps(std::string_view id) const { return core_->Keeps(id); }

}  // namespace obit
