#include "manager/captures.h"

#include <algorithm>

namespace obit {

using Stage = OpenCrash::Stage;
using Task = Sitter::Task;

namespace {

using Cause = event::HandoverFailed::Cause;

constexpr unsigned kHandoversMax = 3;
constexpr std::size_t kPacesMax = 256;  // users whose captures' pace is known
/// Until the next handover, where something is short.
constexpr std::int64_t kShortagePause = 100'000'000;  // ns

CoreBytes FullCoreOf(const OpenCrash& crash) {
  return FullCore(std::min(crash.resident, crash.decision.core_max));
}

/// So much of a core is enough for its stacks, bytes. It is in memory until it was analysed.
constexpr std::uint64_t kTraceCoreMax = 4 << 20;

/// Why there was a recovery, and why nothing came of it.
std::string AllThatFailed(const OpenCrash& crash, const std::string& last) {
  if (crash.left_why.empty()) return last;
  return crash.left_why == last ? last + ", twice" : crash.left_why + "; " + last;
}

}  // namespace

void Captures::Enqueue(OpenCrash& crash) {
  crash.stage = Stage::kQueued;
  crash.since = state_.now;
  Join(crash);
}

void Captures::Join(OpenCrash& crash) {
  queue_.Add(crash.user(), crash.key);
  Waiting& waiting = waiting_[crash.user()];
  ++waiting.crashes;
  waiting.resident += crash.resident;
  state_.Touch(crash);
}

/// One that could not be handed over has its old place.
void Captures::EnqueueRecovery(OpenCrash& crash, std::string why) {
  if (!std::exchange(crash.left_before, true)) crash.since = state_.now;
  crash.stage = Stage::kLeft;
  crash.left_why = std::move(why);
  left_.emplace(crash.since, crash.key);
  state_.Touch(crash);
}

void Captures::Remove(OpenCrash& crash) {
  if (queue_.Remove(crash.user(), crash.key)) {
    const auto waiting = waiting_.find(crash.user());
    waiting->second.resident -= crash.resident;
    if (--waiting->second.crashes == 0) waiting_.erase(waiting);
  }
  left_.erase({crash.since, crash.key});
}

// Starts.

/// Nobody has any more who cost too many for good.
bool Captures::MayHaveAny(User user) const {
  return seats_.UndeadWorkersOf(user) < UndeadMax(state_.limits());
}

/// Everybody else may have one; and more as long as one stays free for others, whatever recoveries take; half
/// of them while others wait. `freed`: so many of his are taken for free.
std::optional<std::size_t> Captures::UsedBy(User user, std::size_t freed) const {
  const std::size_t workers = state_.setup.workers;
  if (!MayHaveAny(user)) return std::nullopt;
  const std::size_t used = seats_.WorkersOf(user) - freed;
  if (used == 0) return used;
  if (used >= ShareOf(workers) &&
      queue_.HasAny([&](User other, CrashKey) { return other != user && MayHaveAny(other); }))
    return std::nullopt;
  const std::size_t recoveries = seats_.Recoveries() + (RecoveryIsDue() ? 1 : 0);
  return used + recoveries + 1 < workers ? std::optional(used) : std::nullopt;
}

void Captures::StartNext() {
  if (seats_.Recoveries() > 0) last_recovery_ = state_.now;
  if (state_.now < short_until_) return;
  short_until_ = 0;
  unqueued_ = false;
  while (seats_.Idle(Role::kWorker) != nullptr && !unqueued_)
    if (!StartRecoveryThatIsDue() && !StartCapture() && !StartRecovery()) return;
}

bool Captures::StartCapture() {
  const auto next = queue_.Next([this](User user) { return UsedBy(user); });
  if (!next) return false;
  OpenCrash& crash = *state_.Find(*next);
  Sitter* worker = IdleFor(crash);
  if (worker == nullptr) return false;
  const Turn turn = TurnOf(crash);
  if (turn.detail == Detail::kEvent) {
    TakeNoCore(crash, turn);
    return true;
  }
  const KeepRefusal refusal = keeping_.Judge(crash);
  const std::uint64_t kept = keeping_.BytesPromised();
  Begin(*worker, Task::kCapture, crash);
  worker->may_keep =
      refusal == KeepRefusal::kNone && turn.detail == Detail::kFull && crash.resident >= kKeptMin;
  crash.begun = turn.detail;
  crash.lowered = turn.why;
  state_.disk.Begin(crash.key,
                    turn.detail == Detail::kFull ? FullCoreOf(crash) : MinimalCore(crash.resident));
  const Config& config = state_.setup.config;
  state_.Do(command::StartCapture{.crash = crash.key,
                                  .seat = worker->seat,
                                  .detail = turn.detail,
                                  .core_max = crash.decision.core_max,
                                  .direct = config.direct,
                                  .verify = config.verify,
                                  .lowered = turn.why,
                                  .keep_refusal = refusal,
                                  .kept = kept,
                                  .keep = state_.limits().keep});
  return true;
}

Sitter* Captures::IdleFor(const OpenCrash& crash) {
  return seats_.Idle(Role::kWorker, [&](const Seat& seat) {
    return !crash.of_pipe() || !vacant_pumps_.contains(seat.index);
  });
}

bool Captures::StartTrace(OpenCrash& crash) {
  if (queue_.size() > 0 || state_.now < short_until_ || RecoveryIsDue()) return false;
  if (!traces_.HasRoomFor(crash) || !UsedBy(crash.user())) return false;
  Sitter* worker = IdleFor(crash);
  if (worker == nullptr) return false;
  traces_.Begun(crash);
  Begin(*worker, Task::kTrace, crash);
  state_.Do(command::StartCapture{.crash = crash.key,
                                  .seat = worker->seat,
                                  .detail = Detail::kEvent,
                                  .core_max = kTraceCoreMax,
                                  .lowered = crash.lowered});
  return true;
}

/// His own: slow processes of one user say nothing of others'.
const CapturePace& Captures::PaceOf(User user) const {
  static const CapturePace unknown;
  const auto known = pace_of_.find(user);
  return known == pace_of_.end() ? unknown : known->second;
}

WaitingCrashes Captures::WaitingWith(const OpenCrash& crash) const {
  const Waiting& waiting = waiting_.at(crash.user());
  return {.waited = state_.now - crash.since, .others = waiting.crashes > 1, .resident = waiting.resident};
}

/// As much of what was decided as there is room, memory and time for now.
Captures::Turn Captures::TurnOf(const OpenCrash& crash) const {
  Turn turn{.detail = crash.decision.detail};
  if (turn.detail == Detail::kFull) {
    turn.why = state_.disk.Judge(FullCoreOf(crash));
    if (!turn.why) turn.why = state_.ShortOfMemory();
    if (!turn.why)
      turn.why = JudgeQueue(WaitingWith(crash), PaceOf(crash.user()), state_.setup.workers,
                            state_.limits().queue.count());
    if (turn.why) turn.detail = Detail::kMinimal;
  }
  if (const Lowered why = state_.disk.Judge(MinimalCore(crash.resident));
      why && turn.detail == Detail::kMinimal)
    turn = {Detail::kEvent, why};
  return turn;
}

/// There is no room even for a minimal core.
void Captures::TakeNoCore(OpenCrash& crash, const Turn& turn) {
  Remove(crash);
  unqueued_ = true;
  crash.stage = Stage::kUnqueued;
  crash.lowered = turn.why;
  crash.decision.detail = turn.detail;
  crash.decision.reason = Describe(turn.why, turn.detail);
  state_.Touch(crash);
}

/// No process waits for it: a few at once, while no capture waits that may have a worker, and never with the
/// last one that is free, unless there is but one.
bool Captures::StartRecovery() {
  const std::size_t workers = state_.setup.workers;
  if (left_.empty() || queue_.HasAny([this](User user, CrashKey) { return UsedBy(user).has_value(); }))
    return false;
  if (seats_.Recoveries() >= std::max<std::size_t>(workers / 4, 1)) return false;
  if (workers > 1 && seats_.IdleWorkers() < 2) return false;
  BeginRecovery(NextLeft([](User) { return true; })->second);
  return true;
}

/// Users whose crashes wait take turns: nobody's thousand cores are completed before another's first.
template <class Condition>
Captures::Left::const_iterator Captures::NextLeft(Condition condition) const {
  auto next = left_.end();
  for (auto one = left_.begin(); one != left_.end(); ++one) {
    const User user = state_.Find(one->second)->user();
    if (!condition(user)) continue;
    if (user != last_recovered_) return one;
    if (next == left_.end()) next = one;
  }
  return next;
}

/// But captures that never end must not keep others' crashes from their records: somebody can see to it that
/// there are always some. After a while one recovery goes before them, even with the last worker that is free
/// if its user has none.
bool Captures::StartRecoveryThatIsDue() {
  if (!RecoveryIsDue()) return false;
  const bool is_last = state_.setup.workers > 1 && seats_.IdleWorkers() < 2;
  const auto next = NextLeft([&](User user) { return !is_last || seats_.WorkersOf(user) == 0; });
  if (next == left_.end()) return false;
  BeginRecovery(next->second);
  return true;
}

void Captures::BeginRecovery(CrashKey key) {
  OpenCrash& crash = *state_.Find(key);
  Sitter& worker = *seats_.Idle(Role::kWorker);
  Begin(worker, Task::kRecovery, crash);
  last_recovery_ = state_.now;
  last_recovered_ = crash.user();
  state_.Do(command::StartRecovery{crash.key, worker.seat, crash.id, crash.left_why});
}

std::int64_t Captures::RecoveryDue() const {
  if (left_.empty() || seats_.Recoveries() > 0) return INT64_MAX;
  return std::max(left_.begin()->first, last_recovery_) + state_.limits().held.count();
}

std::int64_t Captures::NextRecovery() const {
  return seats_.IdleWorkers() == 0 || RecoveryIsDue() ? INT64_MAX : RecoveryDue();
}

void Captures::Begin(Sitter& worker, Task task, OpenCrash& crash) {
  Remove(crash);
  crash.stage = Stage::kCapturing;
  seats_.Begin(worker, task, crash);
  worker.counter = worker.begun = progress_(worker.seat);
  seats_.waits.Set(worker.seat, state_.now + state_.limits().look.count());
  state_.Touch(crash);
}

// Ends.

/// The crash has its old place in the queue: keys are in the order of arrival.
OpenCrash* Captures::On(const event::HandoverFailed& failed) {
  OpenCrash* crash = CrashOf(failed.seat, failed.crash);
  if (crash == nullptr) return nullptr;
  Sitter& worker = *seats_.Find(failed.seat);
  const Task task = worker.task;
  seats_.NotBegun(worker);
  if (task == Task::kCapture) {
    state_.disk.Drop(crash->key);
    crash->lowered = {};  // its next turn says it anew
  }
  for (auto& [key, queued] : state_.crashes)  // they may have waited longer by what was taken for a start
    if (queued.stage == Stage::kQueued) state_.Touch(queued);
  switch (failed.cause) {
    case Cause::kWorker:
    case Cause::kDead:
      seats_.Kill(worker, failed.why);
      break;
    case Cause::kPump:
      vacant_pumps_.insert(failed.seat.index);
      break;
    case Cause::kShortage:
      short_until_ = state_.now + kShortagePause;
      break;
    case Cause::kNoTrace:
      break;
  }
  if (task == Task::kTrace) {
    traces_.Over(*crash);
    return crash;
  }
  const bool is_for_next_start = state_.stop_over || (crash->abandoned && state_.stopping);
  const bool again = !is_for_next_start && HasTries(*crash, failed.cause);
  if (task == Task::kRecovery || !crash->held) {
    if (is_for_next_start)
      endings_.Leave(*crash);
    else if (again)
      EnqueueRecovery(*crash, crash->left_why.empty() ? failed.why : crash->left_why);
    else
      endings_.KeepWithoutCore(*crash, AllThatFailed(*crash, failed.why));
  } else if (!again) {
    endings_.Fail(*crash, "no worker could be given it: " + failed.why);
  } else {
    crash->stage = Stage::kQueued;
    Join(*crash);
  }
  return nullptr;
}

/// As long as something is short, or seats are vacant before anybody said so, no worker is to blame: the
/// crash waits, as in a queue that stands still.
bool Captures::HasTries(OpenCrash& crash, Cause cause) const {
  if (cause != Cause::kWorker) return !crash.held || state_.now < WaitsUntil(crash);
  return ++crash.handovers < kHandoversMax;
}

/// The crash that this worker was given; null: it says what it cannot know.
OpenCrash* Captures::CrashOf(const Seat& seat, CrashKey key) {
  const Sitter* worker = seats_.Find(seat);
  return worker != nullptr && key != 0 && worker->crash == key ? state_.Find(key) : nullptr;
}

void Captures::On(const event::CaptureReleased& released) {
  OpenCrash* crash = CrashOf(released.seat, released.crash);
  if (crash == nullptr) return;
  Sitter& worker = *seats_.Find(released.seat);
  last_progress_ = worker.progressed = state_.now;
  if (worker.keeps) return;  // it said so before
  const bool keeps = std::exchange(worker.may_keep, false) && released.kept;
  worker.has_read = !keeps;
  if (crash->held) endings_.HasReleased(*crash);
  if (keeps) keeping_.Begin(worker);
}

void Captures::On(const event::MemoryCopied& copied) {
  if (CrashOf(copied.seat, copied.crash) == nullptr) return;
  Sitter& worker = *seats_.Find(copied.seat);
  last_progress_ = worker.progressed = state_.now;
  worker.has_read = true;
  worker.keeps = false;
}

void Captures::On(const event::CaptureEnded& ended) {
  OpenCrash* crash = CrashOf(ended.seat, ended.crash);
  if (crash == nullptr) return;
  last_progress_ = state_.now;
  Sitter& worker = *seats_.Find(ended.seat);
  const bool is_trace = worker.task == Task::kTrace;
  const bool tells_pace = worker.held_up.empty() && !worker.left_behind;
  if (worker.task == Task::kCapture && ended.stored && crash->begun == Detail::kFull && tells_pace) {
    if (pace_of_.size() >= kPacesMax) pace_of_.clear();
    pace_of_[crash->user()].Captured(crash->resident, state_.now - worker.started);
  }
  seats_.Done(worker);
  if (worker.state == Sitter::State::kPreparing)
    seats_.waits.Set(worker.seat, state_.now + state_.limits().look.count());
  if (is_trace) return endings_.KeepEvent(*crash);
  if (ended.stored) return endings_.Commit(*crash, ended.core_bytes);
  endings_.KeepWithoutCore(*crash, AllThatFailed(*crash, ended.error));
}

void Captures::Lost(const Sitter& worker, const std::string& why) {
  last_progress_ = std::max(last_progress_, worker.started);
  if (OpenCrash* crash = state_.Find(worker.crash))
    GoOnWithout(*crash, worker.task, worker.killed.empty() ? "the capture worker " + why : worker.killed);
}

/// A core that twice took its worker along is not touched a third time.
void Captures::GoOnWithout(OpenCrash& crash, Task task, const std::string& why) {
  endings_.Release(crash);
  if (task == Task::kTrace) return endings_.KeepEvent(crash);
  if (state_.stop_over) return endings_.Leave(crash);
  if (task == Task::kRecovery) return endings_.KeepWithoutCore(crash, AllThatFailed(crash, why));
  crash.handovers = 0;  // those of the capture
  EnqueueRecovery(crash, why);
}

void Captures::DropAbandoned() {
  std::erase_if(left_, [this](const auto& one) {
    OpenCrash& crash = *state_.Find(one.second);
    if (crash.abandoned) endings_.Leave(crash);
    return crash.abandoned;
  });
}

void Captures::KillAll(const std::string& why) {
  seats_.ForEach([&](Sitter& worker) {
    OpenCrash* crash = worker.seat.role == Role::kWorker ? state_.Find(worker.crash) : nullptr;
    if (crash == nullptr) return;
    endings_.Release(*crash);
    seats_.Kill(worker, why);
  });
}

// Deadlines.

/// That of any worker. A task that it was given counts while it has it: one that could not be handed over is
/// none.
std::int64_t Captures::LastProgress() const {
  std::int64_t last = last_progress_;
  seats_.ForEach([&](const Sitter& sitter) {
    if (sitter.seat.role == Role::kWorker && sitter.crash != 0) last = std::max(last, sitter.started);
  });
  return last;
}

std::int64_t Captures::WaitsUntil(const OpenCrash& crash) const {
  return std::min(std::max(crash.since, LastProgress()) + state_.limits().queue.count(),
                  crash.since + state_.limits().capture.count());
}

void Captures::WaitedLong(OpenCrash& crash) {
  seats_.ForEach([this](Sitter& sitter) { SeeProgress(sitter); });
  if (state_.now < WaitsUntil(crash)) return state_.Touch(crash);
  const bool held_up = state_.now >= LastProgress() + state_.limits().queue.count();
  Remove(crash);
  endings_.Fail(crash,
                held_up ? fmt::format("every worker was held up for {} s while it waited",
                                      Seconds(state_.limits().queue))
                        : fmt::format("it waited for a worker for {} s", Seconds(state_.limits().capture)));
}

void Captures::SeeProgress(Sitter& worker) {
  if (worker.seat.role != Role::kWorker || worker.state != Sitter::State::kBusy) return;
  const std::uint64_t counter = progress_(worker.seat);
  if (std::exchange(worker.counter, counter) != counter) last_progress_ = worker.progressed = state_.now;
}

void Captures::Look(Sitter& worker) {
  if (worker.state == Sitter::State::kKilled) {
    if (worker.crash != 0) last_progress_ = std::max(last_progress_, worker.started);
    if (OpenCrash* crash = state_.Find(std::exchange(worker.crash, 0)))
      GoOnWithout(*crash, worker.task, worker.killed);
    return seats_.Undead(worker);
  }
  SeeProgress(worker);
  OpenCrash* crash = state_.Find(worker.crash);
  if (crash != nullptr && crash->held)
    LookAtHeld(worker, *crash);
  else
    LookAtReleased(worker);
  if (worker.state != Sitter::State::kKilled)
    seats_.waits.Set(worker.seat, state_.now + state_.limits().look.count());
}

/// Others are those who would get its seat: who has less and may have more, or its own user's.
bool Captures::HoldsUpOthers(const Sitter& worker) {
  const ManagerLimits& limits = state_.limits();
  const std::int64_t took = state_.now - worker.started;
  if (took < limits.held.count()) return false;
  const std::size_t has = seats_.WorkersOf(*worker.user);
  const auto waits_for_it = [&](User user, CrashKey first) {
    const auto used = UsedBy(user, user == worker.user ? 1 : 0);
    return used && *used < has && state_.now >= state_.Find(first)->since + limits.queue.count();
  };
  if (!queue_.HasAny(waits_for_it)) return false;
  const double seconds = static_cast<double>(took) / 1e9;
  const double times = static_cast<double>(took) / static_cast<double>(limits.held.count());
  return static_cast<double>(worker.counter - worker.begun) <
         static_cast<double>(limits.held_rate) * seconds * times;
}

void Captures::LookAtHeld(Sitter& worker, OpenCrash& crash) {
  const ManagerLimits& limits = state_.limits();
  if (state_.now >= worker.started + limits.capture.count())
    worker.held_up = fmt::format("the capture took longer than {} s", Seconds(limits.capture));
  else if (state_.now >= worker.progressed + limits.held.count())
    worker.held_up = fmt::format("the capture made no progress for {} s", Seconds(limits.held));
  else if (HoldsUpOthers(worker))
    worker.held_up =
        fmt::format("the capture is slow, {} bytes in {} s, and other crashes wait for it",
                    worker.counter - worker.begun, (state_.now - worker.started) / 1'000'000'000);
  else
    return;
  state_.Say(Severity::kWarning, "{}: {}: its process is released", crash.id, worker.held_up);
  worker.progressed = state_.now;
  endings_.Release(crash);
}

/// Who still reads a process that was let go waits for something that will never come; who has read all of it
/// waits for the disk.
void Captures::LookAtReleased(Sitter& worker) {
  const ManagerLimits& limits = state_.limits();
  const std::int64_t idle = state_.now - worker.progressed;
  if (worker.state == Sitter::State::kPreparing) {  // there is nothing that it could finish
    if (idle < limits.stored.count()) return;
    state_.Say(Severity::kWarning, "worker {} does not get ready: sending SIGKILL", worker.seat.index);
    return seats_.Kill(worker, "it does not get ready");
  }
  if (keeping_.EndsLate(worker))
    return seats_.Kill(worker, fmt::format("its memory was kept longer than {} s", Seconds(limits.keep)));
  if (worker.task != Task::kRecovery && !worker.has_read && idle >= limits.die.count())
    return seats_.Kill(worker, worker.keeps ? "who kept its memory did not go on" : worker.held_up);
  if (idle >= limits.stored.count() && !worker.left_behind)
    seats_.LeaveBehind(worker, fmt::format("it made no progress for {} s", Seconds(limits.stored)));
  const auto most = limits.stored + limits.given_up;
  if (idle >= most.count())
    seats_.Kill(worker, fmt::format("the capture made no progress for {} s", Seconds(most)));
  else if (worker.task != Task::kRecovery && state_.now - worker.started >= (limits.capture + most).count())
    seats_.Kill(worker, fmt::format("the capture took longer than {} s", Seconds(limits.capture + most)));
  else if (state_.now - worker.started >= (limits.capture + most).count() && !worker.left_behind)
    seats_.LeaveBehind(worker, fmt::format("it took longer than {} s", Seconds(limits.capture + most)));
}

}  // namespace obit
