#include "manager/release_watch.h"

namespace obit {
namespace {

/// A look for which no inspector was free says less than one that saw nothing: so many of them make one.
constexpr unsigned kMissedLooks = 4;

}  // namespace

void ReleaseWatch::Watch(OpenCrash& crash) {
  crash.held = false;
  crash.let_go = state_.now;
  LookLater(crash, state_.limits().look);
}

void ReleaseWatch::LookLater(OpenCrash& crash, ManagerLimits::Nanoseconds after) {
  crash.sighted = false;
  crash.look_at = state_.now + after.count();
  state_.Touch(crash);
}

void ReleaseWatch::GiveUp(OpenCrash& crash) {
  crash.given_up = true;
  state_.Touch(crash);
}

void ReleaseWatch::Look(OpenCrash& crash) {
  if (crash.killed) return GiveUp(crash);
  if (Sitter* inspector = inspectors_.FreeFor(crash.user())) {
    crash.missed_looks = 0;
    crash.sighted = true;
    crash.look_at = INT64_MAX;  // until the answer comes, or cannot come any more
    state_.Touch(crash);
    return inspectors_.AskActivity(*inspector, crash);
  }
  if (++crash.missed_looks % kMissedLooks == 0) return Idle(crash);
  LookLater(crash, state_.limits().look);
}

void ReleaseWatch::On(const event::ActivityFound& found) {
  if (!inspectors_.Answered(found.seat, found.crash, Sitter::Task::kActivity, true)) return;
  OpenCrash* crash = state_.Find(found.crash);
  if (crash == nullptr || !crash->sighted) return;
  const auto before = crash->cpu_ticks;
  if (found.known) crash->cpu_ticks = found.cpu_ticks;
  const bool works = found.known && (found.runs || (before && found.cpu_ticks > *before));
  if (!works) return Idle(*crash);
  crash->idle_looks = 0;
  // Left to itself: it goes some day, and must not stand among what can be open until then.
  if (state_.stop_over || state_.now >= crash->let_go + state_.limits().capture.count())
    return GiveUp(*crash);
  LookLater(*crash, state_.limits().look);
}

void ReleaseWatch::Unanswered(OpenCrash& crash) {
  if (crash.sighted) Idle(crash);
}

void ReleaseWatch::Idle(OpenCrash& crash) {
  if (++crash.idle_looks < state_.limits().idle_looks) return LookLater(crash, state_.limits().look);
  state_.Say(Severity::kWarning, "{} did not exit after its release, and does nothing: sending SIGKILL",
             crash.id);
  state_.Do(command::KillProcess{crash.key});
  crash.killed = true;
  LookLater(crash, state_.limits().die);
}

}  // namespace obit
