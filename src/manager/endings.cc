#include "manager/endings.h"

#include <utility>

namespace obit {

void Endings::Release(OpenCrash& crash) {
  if (!crash.held) return;
  state_.Do(command::Release{crash.key});
  released_.Watch(crash);
}

void Endings::End(OpenCrash& crash, bool by_order) {
  crash.stage = OpenCrash::Stage::kEnding;
  crash.order_open = by_order;
  state_.Touch(crash);
}

/// What its core came to; 0: there is none.
void Endings::CoreEnded(OpenCrash& crash, std::uint64_t bytes) {
  state_.sites.Ended(crash.ticket, bytes);
  state_.disk.Ended(crash.key, bytes);
  state_.budgets.Ended(crash.whose, std::exchange(crash.promised, 0), bytes);
}

void Endings::CoreFailed(OpenCrash& crash) {
  state_.sites.Failed(crash.ticket);
  state_.budgets.Ended(crash.whose, std::exchange(crash.promised, 0), 0);
}

void Endings::KeepEvent(OpenCrash& crash) {
  Release(crash);
  CoreEnded(crash, 0);
  state_.Do(command::Record{crash.key, crash.decision.detail, CrashOutcome::kEvent, crash.decision.reason,
                            crash.lowered});
  End(crash, true);
}

void Endings::Fail(OpenCrash& crash, std::string reason) {
  if (crash.only_counted()) return Count(crash);
  Release(crash);
  CoreFailed(crash);
  state_.Do(command::Record{crash.key, crash.decision.detail, CrashOutcome::kFailed, std::move(reason),
                            crash.lowered});
  End(crash, true);
}

void Endings::Count(OpenCrash& crash) {
  Release(crash);
  if (!crash.repeat) state_.sites.Withdraw(crash.ticket, crash.id);
  state_.Do(command::Count{crash.key, crash.repeat        ? CountCause::kLoop
                                      : crash.over_budget ? CountCause::kBudget
                                      : crash.no_room     ? CountCause::kDisk
                                                          : CountCause::kConfiguration});
  End(crash, false);
}

void Endings::Commit(OpenCrash& crash, std::uint64_t core_bytes) {
  Release(crash);
  CoreEnded(crash, core_bytes);
  state_.Do(command::Commit{crash.key});
  End(crash, true);
}

void Endings::KeepWithoutCore(OpenCrash& crash, std::string reason) {
  Release(crash);
  CoreFailed(crash);
  state_.Do(command::KeepWithoutCore{crash.key, std::move(reason)});
  End(crash, true);
}

void Endings::Leave(OpenCrash& crash) {
  Release(crash);
  crash.left = true;
  End(crash, false);
}

}  // namespace obit
