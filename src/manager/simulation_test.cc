// A simulation from its beginning to its end.

#include <algorithm>

#include "manager/patient_clock.h"
#include "manager/test_simulator.h"

namespace obit::testing {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

}  // namespace

/// From here on nothing hangs any more: what does not die does, and who hangs dies.
void Simulation::CalmDown() {
  calm_ = true;
  for (const SimulatedSitter& sitter : referee_->sitters)
    if (sitter.killed || sitter.left_behind || !sitter.idle) At(Soon(), What::kDies, 0, sitter.seat);
}

/// Every seat can be used: crashes of as many users come as there are seats.
void Simulation::Probe() {
  Tell(event::RoomTold{});
  now_ += kSecond;  // a shortage that nobody waits for any more pauses handovers all the same
  setup_.config.loop_cores = 0;
  setup_.config.detail = Detail::kFull;
  setup_.config.no_core_limit = Detail::kFull;
  setup_.config.rules.clear();
  Tell(event::Configured{setup_.config, setup_.limits});
  const CrashKey first = last_crash_ + 1;
  const std::uint32_t seats = std::max(setup_.inspectors, setup_.workers);
  for (std::uint32_t i = 0; i < seats; ++i) {
    event::Arrived arrived{.crash = ++last_crash_, .id = "probe", .transport = Transport::kPipe};
    arrived.user = 1000 + i;
    Tell(arrived);
  }
  const auto has = [&](Role role) {
    return static_cast<std::uint32_t>(std::ranges::count_if(
        referee_->sitters,
        [&](const SimulatedSitter& sitter) { return sitter.seat.role == role && sitter.crash >= first; }));
  };
  if (has(Role::kInspector) != setup_.inspectors) referee_->Wrong("an inspector's seat is lost");
  while (!happenings_.empty() && has(Role::kWorker) < setup_.workers && referee_->wrong().empty()) {
    const Happening next = happenings_.top();
    happenings_.pop();
    now_ = std::max(now_, next.at);
    if (next.what == What::kReleases || next.what == What::kStores) continue;
    Happen(next);
  }
  if (has(Role::kWorker) != setup_.workers) referee_->Wrong("a worker's seat is lost");
}

std::string Simulation::Run() {
  constexpr std::int64_t kTroubleEnds = 90 * kSecond;
  constexpr std::uint64_t kEventsMax = 20'000;
  while (referee_->wrong().empty()) {
    const std::int64_t next = happenings_.empty() ? INT64_MAX : happenings_.top().at;
    const std::int64_t due = manager_->NextDeadline();
    if (next == INT64_MAX && due == INT64_MAX && calm_) break;
    if (told_ > kEventsMax) return "it does not end";
    if (!calm_ && (std::min(next, due) == INT64_MAX || now_ > kTroubleEnds)) {
      CalmDown();
      continue;
    }
    if (next != kAtOnce && jumps_ > 0 && !calm_ && due != INT64_MAX && random_.Chance(1)) {
      --jumps_;
      const std::int64_t late = random_.Below(20 * kSecond);
      now_ = std::max(now_, std::min(next, due) + late);
      referee_->Late(late + PatientClock::kLate);
      if (tells_)
        story_ +=
            fmt::format("          the manager stands still for {} s\n", static_cast<double>(late) / 1e9);
    }
    if (next <= due) {
      const Happening happening = happenings_.top();
      happenings_.pop();
      now_ = std::max(now_, happening.at);
      Happen(happening);
    } else {
      now_ = std::max(now_, due);
      Tell(event::Tick{});
    }
  }
  if (referee_->wrong().empty()) referee_->JudgeEnd(*manager_);
  if (referee_->wrong().empty() && !stops_) Probe();
  return referee_->wrong();
}

}  // namespace obit::testing
