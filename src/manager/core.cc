#include "manager/core.h"

#include <algorithm>
#include <utility>

namespace obit {

using Stage = OpenCrash::Stage;
using Task = Sitter::Task;

namespace {

/// A queue that was empty for less is the same one as before.
constexpr std::chrono::nanoseconds kSameQueue = std::chrono::seconds(1);

}  // namespace

Manager::Core::Core(Setup setup, Progress progress)
    : state_{.setup = std::move(setup),
             .sites = CrashSites(state_.setup.site_key),
             .budgets = Budgets(state_.setup.site_key)},
      seats_(state_),
      traces_(state_, seats_),
      inspectors_(state_, seats_, traces_),
      door_(state_, seats_),
      inspection_(state_, inspectors_, door_),
      released_(state_, inspectors_),
      endings_(state_, released_),
      keeping_(state_, seats_),
      captures_(state_, seats_, traces_, endings_, keeping_, std::move(progress)) {
  state_.Configure(std::move(state_.setup.config));
  state_.sites.Restore(std::exchange(state_.setup.sites, {}));
}

std::vector<Command> Manager::Core::On(const Event& event, std::int64_t now) {
  state_.now = clock_.Read(now, NextWakeup());
  std::visit([this](const auto& kind) { On(kind); }, event);
  Advance();
  HoldJobs();
  const bool over = state_.crashes.empty() && ((!door_.open() && door_.seen()) || state_.stop_over);
  if (state_.stopping && over && !std::exchange(stopped_, true)) state_.Do(command::Stopped{});
  return std::exchange(state_.commands, {});
}

void Manager::Core::Advance() {
  for (bool more = true; more;) {
    while (!state_.touched.empty()) {
      const CrashKey key = state_.touched.back();
      state_.touched.pop_back();
      if (OpenCrash* crash = state_.Find(key)) Settle(*crash);
    }
    inspection_.AskNext();
    if (state_.now < stop_at_) captures_.StartNext();
    more = !state_.touched.empty();
    if (more) continue;
    more = Next() <= state_.now;
    if (state_.now >= stop_at_) {
      StopIsOver();
    } else if (state_.now >= door_.Next()) {
      door_.Look();
    } else if (const auto seat = seats_.waits.TakeDue(state_.now)) {
      WaitedLong(*seats_.Find(*seat));
    } else if (const auto key = state_.waits.TakeDue(state_.now)) {
      OpenCrash& crash = *state_.Find(*key);
      state_.Touch(crash);
      if (state_.now >= WaitsUntil(crash)) WaitedLong(crash);
    }
  }
}

/// Analyses and hooks leave the processors to a queue of captures. One that does not end must not keep others
/// from their reports: a user can see to it that there is always somebody in it, or almost always.
void Manager::Core::HoldJobs() {
  const bool queue = captures_.queued() > 0;
  if (!queue) {
    if (queue_began_ && !queue_ended_) queue_ended_ = state_.now;
  } else if (const auto ended = std::exchange(queue_ended_, std::nullopt);
             !queue_began_ || (ended && state_.now >= *ended + kSameQueue.count())) {
    queue_began_ = state_.now;
  }
  const bool held = queue && state_.now < JobsHeldUntil();
  if (std::exchange(jobs_held_, held) != held) state_.Do(command::HoldJobs{held});
}

/// After anything has happened to a crash.
void Manager::Core::Settle(OpenCrash& crash) {
  if (crash.stage == Stage::kArriving && crash.wanted == OpenCrash::Wanted::kNothing && crash.request_read)
    return DecideAndAnswer(crash);
  if (crash.stage == Stage::kUnqueued) return GoOnWithoutCore(crash);
  if (!crash.over()) return state_.waits.Set(crash.key, WaitsUntil(crash));
  state_.waits.Clear(crash.key);
  state_.Do(command::Forget{crash.key, crash.left});
  state_.disk.Settled(crash.key);
  state_.crashes.erase(crash.key);
}

/// 0: they are not.
std::int64_t Manager::Core::JobsHeldUntil() const {
  return queue_began_ ? *queue_began_ + state_.limits().held.count() : 0;
}

// Deadlines.

std::int64_t Manager::Core::NextWakeup() const {
  const std::int64_t next = std::min(Next(), captures_.NextRecovery());
  return jobs_held_ ? std::min(next, JobsHeldUntil()) : next;
}

std::int64_t Manager::Core::Next() const {
  return std::min({stop_at_, seats_.waits.Next(), state_.waits.Next(), captures_.NextTry(), door_.Next()});
}

std::int64_t Manager::Core::WaitsUntil(const OpenCrash& crash) const {
  const std::int64_t exchange = state_.limits().exchange.count();
  switch (crash.stage) {
    case Stage::kArriving:
      return std::min(crash.request_read ? INT64_MAX : crash.arrived + exchange,
                      inspection_.WaitsUntil(crash));
    case Stage::kAnswering:
      return crash.since + exchange;
    case Stage::kQueued:
      return captures_.WaitsUntil(crash);
    case Stage::kUnqueued:
    case Stage::kCapturing:
    case Stage::kLeft:
    case Stage::kEnding:
      break;
  }
  return crash.held || crash.exited || crash.given_up ? INT64_MAX : crash.look_at;
}

void Manager::Core::WaitedLong(OpenCrash& crash) {
  switch (crash.stage) {
    case Stage::kArriving:
      if (state_.now >= inspection_.WaitsUntil(crash)) return inspection_.WaitedLong(crash);
      [[fallthrough]];
    case Stage::kAnswering:
      return Fail(crash, "the exchange with the kernel stood still");
    case Stage::kQueued:
      return captures_.WaitedLong(crash);
    case Stage::kUnqueued:
    case Stage::kCapturing:
    case Stage::kLeft:
    case Stage::kEnding:
      return released_.Look(crash);
  }
}

void Manager::Core::WaitedLong(Sitter& sitter) {
  if (sitter.seat.role == Role::kWorker) return captures_.Look(sitter);
  if (sitter.state == Sitter::State::kKilled) return seats_.Undead(sitter);
  if (sitter.task == Task::kDoor) return door_.Overdue(sitter);
  const CrashKey crash = sitter.crash;
  inspectors_.Overdue(sitter);
  Unanswered(crash, sitter.task);
}

void Manager::Core::Unanswered(CrashKey key, Task task) {
  OpenCrash* crash = state_.Find(key);
  if (crash == nullptr) return;
  if (task == Task::kActivity)
    released_.Unanswered(*crash);
  else
    inspection_.Unanswered(*crash);
}

// Seats.

void Manager::Core::On(const event::SeatReady& ready) {
  if (ready.seat.role == Role::kInspector || ready.seat.role == Role::kWorker) seats_.Ready(ready.seat);
  if (ready.seat.role == Role::kPump) captures_.PumpReady(ready.seat);
}

void Manager::Core::On(const event::SeatLost& lost) {
  if (lost.seat.role == Role::kPump) return captures_.PumpLost(lost.seat);
  const auto sitter = seats_.Lose(lost.seat);
  if (sitter && sitter->seat.role == Role::kInspector && sitter->task == Task::kDoor &&
      sitter->state != Sitter::State::kIdle)
    return door_.Lost(lost.seat);
  if (!sitter || sitter->crash == 0) return;
  if (sitter->seat.role == Role::kWorker) return captures_.Lost(*sitter, lost.why);
  inspectors_.Died(*sitter);
  Unanswered(sitter->crash, sitter->task);
}

// The rest.

void Manager::Core::On(const event::ProcessExited& exited) {
  OpenCrash* crash = state_.Find(exited.crash);
  if (crash == nullptr) return;
  crash->exited = true;
  crash->sighted = false;
  state_.Touch(*crash);
}

void Manager::Core::On(const event::OrderDone& done) {
  OpenCrash* crash = state_.Find(done.crash);
  if (crash == nullptr) return;
  crash->order_open = false;
  traces_.Over(*crash);
  state_.disk.Settled(crash->key);
  state_.Touch(*crash);
}

/// An event goes on without its trace.
void Manager::Core::On(const event::HandoverFailed& failed) {
  OpenCrash* event = captures_.On(failed);
  if (event == nullptr) return;
  if (event->held && !state_.stop_over)
    AnswerWithoutCore(*event);
  else
    endings_.KeepEvent(*event);
}

void Manager::Core::On(const event::Abandoned& abandoned) {
  OpenCrash crash{
      .key = abandoned.crash, .id = abandoned.id, .abandoned = true, .held = false, .exited = true};
  OpenCrash& open = state_.crashes.emplace(abandoned.crash, std::move(crash)).first->second;
  if (state_.stopping)
    endings_.Leave(open);
  else
    captures_.EnqueueRecovery(open, abandoned.reason);
}

void Manager::Core::On(const event::KeptIsGone& gone) {
  state_.sites.Forget(gone.id);
  door_.Revoke();
}

void Manager::Core::On(const event::RoomTold& told) {
  state_.disk.Told(told.room);
  state_.room_told = state_.now;
}

void Manager::Core::On(const event::Configured& configured) {
  door_.Revoke();
  state_.Configure(configured.config);
  state_.setup.limits = configured.limits;
  state_.setup.workers = std::max(configured.config.slots, 1U);
  seats_.DropSurplus();
}

void Manager::Core::On(const event::Stopping&) {
  if (std::exchange(state_.stopping, true)) return;
  stop_at_ = state_.now + state_.limits().stop.count();
  keeping_.LetAllGo();
  captures_.DropAbandoned();
  door_.Leave();
}

void Manager::Core::StopIsOver() {
  const std::string why = "obitd was stopping";
  stop_at_ = INT64_MAX;
  state_.stop_over = true;
  door_.LeaveNow();
  for (auto& [key, crash] : state_.crashes) {
    switch (crash.stage) {
      case Stage::kArriving:
      case Stage::kAnswering:
        Fail(crash, why);
        break;
      case Stage::kQueued:
        Fail(crash, why + " while it waited for its turn");
        break;
      case Stage::kLeft:
        captures_.Remove(crash);
        endings_.Leave(crash);
        break;
      case Stage::kUnqueued:
      case Stage::kCapturing:
      case Stage::kEnding:
        break;
    }
  }
  captures_.KillAll(why);
}

Manager::Load Manager::Core::load() const {
  return {.open = static_cast<std::size_t>(
              std::ranges::count_if(state_.crashes, [](const auto& crash) { return crash.second.held; })),

          .queued = captures_.queued(),
          .captures = seats_.BusyWorkers(),
          .left_behind = seats_.left_behind(),
          .kept = keeping_.Now()};
}

}  // namespace obit
