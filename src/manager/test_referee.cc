// What the referee takes for true.

#include "manager/test_referee.h"

#include <algorithm>

namespace obit::testing {
namespace {

ManagerLimits Extreme(const ManagerLimits& a, const ManagerLimits& b, bool most) {
  const auto pick = [most](auto x, auto y) { return most ? std::max(x, y) : std::min(x, y); };
  ManagerLimits limits;
  for (auto field :
       {&ManagerLimits::site, &ManagerLimits::safe, &ManagerLimits::risky, &ManagerLimits::exchange,
        &ManagerLimits::queue, &ManagerLimits::held, &ManagerLimits::capture, &ManagerLimits::stored,
        &ManagerLimits::given_up, &ManagerLimits::die, &ManagerLimits::look, &ManagerLimits::stop})
    limits.*field = pick(a.*field, b.*field);
  limits.idle_looks = pick(a.idle_looks, b.idle_looks);
  limits.left_behind = pick(a.left_behind, b.left_behind);
  return limits;
}

}  // namespace

SimulatedCrash* Referee::Find(CrashKey key) {
  const auto found = crashes.find(key);
  return found == crashes.end() || found->second.forgotten ? nullptr : &found->second;
}

SimulatedSitter* Referee::Find(const Seat& seat) {
  const auto found = std::ranges::find(sitters, seat, &SimulatedSitter::seat);
  return found == sitters.end() ? nullptr : &*found;
}

void Referee::Progress(SimulatedSitter& sitter, std::int64_t now) {
  sitter.counter += sitter.crash % 2 == 0 ? 1 : 1 << 30;  // slow, or fast
  worked_ = sitter.worked = sitter.progressed = now;
}

void Referee::See(const Event& event, std::int64_t now) {
  now_ = now;
  site_found_ = 0;
  left_queue_ = false;
  left_ = 0;
  std::visit([this](const auto& kind) { On(kind); }, event);
}

void Referee::On(const event::Arrived& arrived) {
  const bool pipe = arrived.transport == Transport::kPipe;
  crashes[arrived.crash] = {.key = arrived.crash,
                            .uid = arrived.user,
                            .pipe = pipe,
                            .arrived = now_,
                            .core_limit = arrived.core_limit,
                            .request_read = pipe};
}

void Referee::On(const event::Abandoned& abandoned) {
  crashes[abandoned.crash] = {
      .key = abandoned.crash, .abandoned = true, .request_read = true, .held = false, .exited = true};
  crashes[abandoned.crash].left_at = now_;
}

void Referee::On(const event::RequestRead& read) {
  SimulatedCrash* crash = Find(read.crash);
  if (crash == nullptr || crash->ended) return;
  crash->request_read = true;
  crash->known_at = now_;
  crash->has_offer = read.offer.has_value();
}

void Referee::On(const event::MarkRead& read) {
  SimulatedCrash* crash = Find(read.crash);
  if (crash != nullptr && crash->answered && !crash->mark) crash->mark = read.mark;
}

void Referee::On(const event::ConnectionLost& lost) {
  SimulatedCrash* crash = Find(lost.crash);
  if (crash != nullptr && crash->captures == 0 && !crash->worker) crash->lost = true;
}

void Referee::On(const event::ProcessExited& exited) {
  if (SimulatedCrash* crash = Find(exited.crash)) crash->exited = true;
}

/// Who is busy with this.
SimulatedSitter* Referee::Asked(const Seat& seat, CrashKey crash, Task task) {
  SimulatedSitter* sitter = Find(seat);
  return sitter != nullptr && sitter->task == task && sitter->crash == crash && !sitter->killed ? sitter
                                                                                                : nullptr;
}

/// When a capture began that somebody has, or one went on.
std::int64_t Referee::Moved() const {
  std::int64_t moved = moved_;
  for (const SimulatedSitter& sitter : sitters)
    if (sitter.seat.role == Role::kWorker && sitter.crash != 0) moved = std::max(moved, sitter.asked);
  return moved;
}

void Referee::Free(SimulatedSitter& sitter) {
  sitter.task = Task::kNone;
  sitter.crash = 0;
  ++sitter.jobs;
  sitter.progressed = now_;
  sitter.idle = sitter.seat.role == Role::kInspector;
  if (!sitter.killed) sitter.user.reset();
}

void Referee::On(const event::SiteFound& found) {
  SimulatedSitter* inspector = Asked(found.seat, found.crash, Task::kSite);
  if (inspector == nullptr) return;
  Free(*inspector);
  last_answer_ = now_;
  SawMemory(found.memory);
  SimulatedCrash& crash = crashes[found.crash];
  if (found.other_rules) {
    crash.asked_site = std::exchange(crash.asked_again, true);  // once more
    return;
  }
  site_found_ = found.crash;
  boottime_ = found.boottime;
  crash.site = found.site;
  const std::vector<obit::Rule>& rules = configs_.back().rules;
  if (found.rule > 0 && found.rule <= rules.size())
    crash.ruled = Under(rules[found.rule - 1], configs_.back());
  if (found.site && Find(found.crash) != nullptr && !crash.ended) NoteResident(crash, found.resident);
}

void Referee::NoteResident(SimulatedCrash& crash, std::uint64_t resident) const {
  const Config& config = crash.ruled ? *crash.ruled : configs_.back();
  if (crash.resident == 0 && config.detail != Detail::kMinimal) crash.resident = resident;
}

void Referee::SawMemory(const std::optional<MemoryLoad>& load) {
  if (load) memory_ = load, memory_seen_ = now_;
}

/// What was done before is in it.
void Referee::On(const event::RoomTold& told) {
  room_ = told.room;
  for (auto& [key, crash] : crashes)
    if (crash.order_done || crash.forgotten) crash.promised = {};
}

void Referee::On(const event::FactsFound& found) {
  SimulatedSitter* inspector = Asked(found.seat, found.crash, Task::kFacts);
  if (inspector == nullptr) return;
  SimulatedCrash& crash = crashes[found.crash];
  last_answer_ = now_;
  SawMemory(found.memory);
  if (found.core_limit) crash.core_limit = *found.core_limit;
  NoteResident(crash, found.resident);
  if (!found.last) {
    if (inspector->first == 0) inspector->first = now_;
    return;
  }
  Free(*inspector);
  crash.facts_over = true;
  crash.known_at = now_;
}

void Referee::On(const event::ActivityFound& found) {
  SimulatedSitter* inspector = Asked(found.seat, found.crash, Task::kActivity);
  if (inspector == nullptr) return;
  Free(*inspector);
  last_answer_ = now_;
  SimulatedCrash& crash = crashes[found.crash];
  const bool works = found.known && (found.runs || (crash.ticks && found.cpu_ticks > *crash.ticks));
  if (found.known) crash.ticks = found.cpu_ticks;
  if (works) crash.quiet_since = now_;
  crash.seen_working = works;
}

void Referee::On(const event::SeatReady& ready) {
  if (ready.seat.role == Role::kPump) {
    vacant_pumps[ready.seat.index] = false;
    return;
  }
  if (SimulatedSitter* sitter = Find(ready.seat)) {
    if (sitter->task == Task::kNone && !sitter->killed && !sitter->left_behind) sitter->idle = true;
    return;
  }
  sitters.push_back({.seat = ready.seat, .progressed = now_});
}

void Referee::On(const event::SeatLost& lost) {
  if (lost.seat.role == Role::kPump) {
    vacant_pumps[lost.seat.index] = true;
    return;
  }
  SimulatedSitter* sitter = Find(lost.seat);
  if (sitter == nullptr) return;
  if (lost.seat.role == Role::kWorker)
    LoseWorker(*sitter);
  else if (sitter->user && sitter->task != Task::kNone && !sitter->killed) {
    strikes_.push_back({*sitter->user, sitter->seat, now_});
    LoseQuestion(*sitter);
  }
  sitters.erase(sitters.begin() + (sitter - sitters.data()));
}

/// What was asked is not answered any more.
void Referee::LoseQuestion(const SimulatedSitter& inspector) {
  SimulatedCrash& crash = crashes[inspector.crash];
  if (inspector.task == Task::kSite) crash.site_lost = true;
  if (inspector.task != Task::kFacts) return;
  crash.facts_over = true;
  crash.known_at = now_;
}

/// The crash goes on without it.
void Referee::LoseWorker(SimulatedSitter& worker) {
  if (worker.crash == 0) return;
  SimulatedCrash& crash = crashes[worker.crash];
  crash.worker.reset();
  crash.worker_lost = worker.task != Task::kTrace;
  crash.left_at = worker.killed ? worker.killed_at : now_;
  crash.handovers = 0;
  moved_ = std::max(moved_, worker.asked);
  worker.crash = 0;
}

/// The crash and the worker are as they were.
void Referee::On(const event::HandoverFailed& failed) {
  SimulatedSitter* worker = Find(failed.seat);
  SimulatedCrash* crash = Find(failed.crash);
  if (worker == nullptr || crash == nullptr || worker->crash != failed.crash) return;
  crash->worker.reset();
  crash->worker_lost = worker->task == Task::kRecovery;
  using Cause = event::HandoverFailed::Cause;
  if (worker->task == Task::kTrace) {
    crash->traced = crash->trace_open = false;
  } else {
    --(worker->task == Task::kRecovery ? crash->recoveries : crash->captures);
    handover_failed_ = true;
    joined_ = std::max(joined_, crash->tried_at);
    if (worker->task == Task::kCapture) crash->left_at = now_, crash->promised = {};
    ++crash->handovers;
    if (failed.cause != Cause::kWorker) crash->was_short = true;
  }
  if (failed.cause == Cause::kShortage) short_at_ = now_;  // nobody is given anything for a while
  Free(*worker);
  worker->hangs_up = failed.cause == Cause::kWorker || failed.cause == Cause::kDead;
  worker->idle = !worker->hangs_up;
  if (failed.cause == Cause::kPump) vacant_pumps[failed.seat.index] = true;
}

/// The manager may have gone on without it; or not, if it stood still meanwhile.
bool Referee::MayBeGivenUp(const SimulatedSitter& worker) const {
  return worker.killed && Past(now_, worker.killed_at, tightest_.die);
}

void Referee::On(const event::CaptureReleased& released) {
  SimulatedSitter* worker = Find(released.seat);
  SimulatedCrash* crash = Find(released.crash);
  if (worker == nullptr || crash == nullptr || worker->crash != released.crash) return;
  worker->progressed = now_;
  (MayBeGivenUp(*worker) ? may_have_moved_ : moved_) = now_;
  if (worker->keeps) return;
  const bool keeps = std::exchange(worker->may_keep, false) && released.kept;
  worker->has_read = !keeps;
  if (keeps && !worker->killed) worker->keeps = true, worker->kept_since = now_;
  if (!crash->held) return;
  crash->held = false;
  crash->quiet_since = crash->let_go = now_;
}

void Referee::On(const event::MemoryCopied& copied) {
  SimulatedSitter* worker = Find(copied.seat);
  if (worker == nullptr || worker->crash != copied.crash || Find(copied.crash) == nullptr) return;
  worker->progressed = now_;
  (MayBeGivenUp(*worker) ? may_have_moved_ : moved_) = now_;
  worker->has_read = true;
  worker->keeps = false;
}

void Referee::On(const event::LetGo& wanted) {
  for (SimulatedSitter& sitter : sitters)
    sitter.let_go = sitter.let_go || (sitter.keeps && std::to_string(sitter.crash) == wanted.id);
}

void Referee::On(const event::CaptureEnded& ended) {
  SimulatedSitter* worker = Find(ended.seat);
  SimulatedCrash* crash = Find(ended.crash);
  if (worker == nullptr || crash == nullptr || worker->crash != ended.crash) return;
  const bool given_up = MayBeGivenUp(*worker);
  if (worker->task != Task::kTrace) {
    crash->worker_lost = given_up;
    if (crash->worker_lost) crash->left_at = worker->killed ? worker->killed_at : now_;
    crash->stored = ended.stored;
    crash->core_bytes = ended.stored ? ended.core_bytes : 0;
    room_unsure_ = room_unsure_ || crash->worker_lost;
    if (ended.stored && crash->promised.most > 0) crash->promised = {ended.core_bytes, ended.core_bytes};
  }
  crash->worker.reset();
  Free(*worker);
  (given_up ? may_have_moved_ : moved_) = now_;
}

void Referee::On(const event::OrderDone& done) {
  SimulatedCrash* crash = Find(done.crash);
  if (crash == nullptr) return;
  crash->order_open = crash->trace_open = false;
  crash->order_done = true;
}

void Referee::Take(const Config& config) {
  configs_.push_back(config);
  for (const obit::Rule& rule : config.rules) ruled_.push_back(Under(rule, config));
}

void Referee::On(const event::Configured& configured) {
  Take(configured.config);
  setup_.limits = configured.limits;
  setup_.workers = std::max(configured.config.slots, 1U);
  loosest_ = Extreme(loosest_, configured.limits, true);
  tightest_ = Extreme(tightest_, configured.limits, false);
}

}  // namespace obit::testing
