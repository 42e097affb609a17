#include "manager/inspectors.h"

#include <algorithm>

#include "policy/decide.h"

namespace obit {
namespace {

/// So many inspectors that a user cost make him distrusted, for so long, or as long as they do not die.
constexpr std::ptrdiff_t kStrikes = 2;
constexpr std::int64_t kStrikeTime = 60'000'000'000;  // ns
/// When such a part of those who may be left behind is, nobody is trusted: users can have many names.
constexpr std::size_t kTooMany = 4;

}  // namespace

std::optional<std::size_t> Inspectors::UsedBy(User user) const {
  const std::size_t used = seats_.InspectorsOf(user);
  return used < ShareOf(state_.setup.inspectors) ? std::optional(used) : std::nullopt;
}

Sitter* Inspectors::FreeFor(User user) { return UsedBy(user) ? Free() : nullptr; }

bool Inspectors::Distrusts(User user) {
  if (seats_.left_behind(Role::kInspector) >=
      std::max<std::size_t>(state_.limits().left_behind / kTooMany, 1))
    return true;
  std::erase_if(strikes_, [this](const Strike& strike) {
    return state_.now - strike.time >= kStrikeTime && seats_.Find(strike.seat) == nullptr;
  });
  return std::ranges::count(strikes_, user, &Strike::user) >= kStrikes;
}

void Inspectors::AskSite(Sitter& inspector, const OpenCrash& crash) {
  Begin(inspector, Sitter::Task::kSite, crash, state_.limits().site);
  state_.Do(command::AskSite{crash.key, inspector.seat});
}

void Inspectors::AskFacts(Sitter& inspector, const OpenCrash& crash, bool only_safe) {
  Begin(inspector, Sitter::Task::kFacts, crash, state_.limits().safe);
  const Config& config = state_.ConfigOf(crash);
  CrashRecord unwanted;
  unwanted.process.core_limit = 0;
  state_.Do(command::AskFacts{
      .crash = crash.key,
      .seat = inspector.seat,
      .only_safe = only_safe,
      .for_core = crash.lowers.empty() && config.detail < Detail::kEvent,
      .if_unwanted = Decide(unwanted, config).detail,
      .for_trace = traces_.HasRoomFor(crash),
  });
}

void Inspectors::AskActivity(Sitter& inspector, const OpenCrash& crash) {
  Begin(inspector, Sitter::Task::kActivity, crash, state_.limits().safe);
  state_.Do(command::AskActivity{crash.key, inspector.seat});
}

void Inspectors::Begin(Sitter& inspector, Sitter::Task task, const OpenCrash& crash,
                       ManagerLimits::Nanoseconds deadline) {
  seats_.Begin(inspector, task, crash);
  seats_.waits.Set(inspector.seat, state_.now + deadline.count());
}

bool Inspectors::Answered(const Seat& seat, CrashKey crash, Sitter::Task task, bool last) {
  Sitter* inspector = seats_.Find(seat);
  if (inspector == nullptr || inspector->state != Sitter::State::kBusy || inspector->task != task ||
      inspector->crash != crash)
    return false;
  last_answer_ = state_.now;
  if (last)
    seats_.Done(*inspector);
  else if (!std::exchange(inspector->facts_begun, true))
    seats_.waits.Set(seat, state_.now + state_.limits().risky.count());
  return true;
}

void Inspectors::Overdue(Sitter& inspector) {
  Note(inspector);
  state_.Say(Severity::kWarning, "inspector {} does not answer: sending SIGKILL", inspector.seat.index);
  seats_.Kill(inspector, "it did not answer");
  inspector.crash = 0;
}

void Inspectors::Died(const Sitter& inspector) { Note(inspector); }

void Inspectors::Note(const Sitter& inspector) {
  strikes_.push_back({*inspector.user, inspector.seat, state_.now});
}

}  // namespace obit
