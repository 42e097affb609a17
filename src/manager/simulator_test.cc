// How the simulated world goes on: who does what, and when.

#include <algorithm>

#include "manager/door.h"
#include "manager/test_simulator.h"
#include "manager/test_support.h"

namespace obit::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMillisecond = 1'000'000, kSecond = 1'000'000'000;

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool tells) : random_(seed), tells_(tells) { Prepare(); }

/// The rules of this world. In a fair one only user 0 makes trouble, and others must not feel it.
void Simulation::Prepare() {
  fair_ = random_.Chance(25);
  setup_.inspectors = fair_ ? 4 : static_cast<std::uint32_t>(random_.Below(4) + 1);
  setup_.workers = fair_ ? static_cast<std::uint32_t>(random_.Below(3) + 3)
                         : static_cast<std::uint32_t>(random_.Below(5) + 1);
  setup_.config.slots = setup_.workers;
  setup_.config.loop_cores = static_cast<unsigned>(random_.Below(3));
  setup_.config.loop_events = static_cast<unsigned>(random_.Below(3));
  setup_.config.no_core_limit =
      random_.Of({Detail::kFull, Detail::kMinimal, Detail::kEvent, Detail::kReject});
  ManagerLimits& limits = setup_.limits;
  limits.exchange = 5s;
  limits.held = 4s;
  limits.capture = 15s;
  limits.stored = 6s;
  limits.given_up = 5s;
  limits.die = random_.Of({500ms, 3000ms});
  limits.idle_looks = 3;
  limits.stop = random_.Of({1s, 8s});
  limits.left_behind = fair_ ? 64 : static_cast<std::size_t>(random_.Of({1, 2, 4, 64}));
  trouble_ = random_.Of({0, 10, 40, 90});
  inspector_trouble_ = random_.Of({0, 20, 70});
  worker_trouble_ = random_.Of({0, 20, 70});
  clerk_trouble_ = random_.Of({0, 20});
  jumps_ = fair_ ? 0 : random_.Of({0, 0, 0, 3});
  loops_ = !fair_ && random_.Chance(4);
  setup_.config.rules = SomeRules();
  short_ = !fair_ && random_.Chance(40);
  if (loops_) setup_.config.loop_cores = setup_.config.loop_events = 1;
  referee_ = std::make_unique<Referee>(setup_);
  referee_->fair = fair_;
  manager_ = std::make_unique<Manager>(setup_, [this](const Seat& seat) {
    const SimulatedSitter* sitter = referee_->Find(seat);
    return sitter == nullptr ? 0 : sitter->counter;
  });

  for (std::uint32_t i = 0; i < setup_.inspectors; ++i) Replace({Role::kInspector, i, 0});
  for (std::uint32_t i = 0; i < setup_.workers; ++i) Replace({Role::kWorker, i, 0});
  std::int64_t arrives = fair_ ? 50 * kMillisecond : 0;
  crowded_ = random_.Chance(10);
  const std::int64_t crashes = crowded_ ? 10 + random_.Below(15) : random_.Below(7);
  for (std::int64_t i = 0; i < crashes; ++i) {
    At(arrives, What::kArrives);
    arrives += random_.Of({0L, Soon(), random_.Below(3 * kSecond)});
  }
  if (loops_)
    for (int i = 0; i < 60; ++i) At(arrives += random_.Below(12 * kMillisecond), What::kArrives);
  for (DoorPlace& place : door_) place.crashes = static_cast<std::uint64_t>(random_.Below(3));
  At(0, What::kDoorSeen);
  const auto sometimes = [&](int percent, What what) {
    if (random_.Chance(percent)) At(random_.Below(arrives + 2 * kSecond), what);
  };
  sometimes(15, What::kAbandoned);
  if (crowded_) sometimes(50, What::kAbandoned);
  sometimes(15, What::kKeptIsGone);
  if (random_.Chance(70)) At(0, What::kTracesWanted);
  sometimes(20, What::kTracesWanted);
  if (short_)
    for (int i = 0; i < 6; ++i) sometimes(70, What::kRoomTold);
  if (!fair_) {
    sometimes(10, What::kAbandoned);
    sometimes(10, What::kConfigured);
    sometimes(10, What::kPumpDies);
    sometimes(trouble_ / 4, What::kSomebodyDies);
    sometimes(trouble_ / 2, What::kSomebodyDies);
    sometimes(trouble_ / 2, What::kLies);
    sometimes(trouble_ / 2, What::kLies);
    if ((stops_ = random_.Chance(30))) At(random_.Below(arrives + 5 * kSecond), What::kStops);
  }
}

/// In most worlds none. Which of them wins, an inspector says.
std::vector<Rule> Simulation::SomeRules() {
  std::vector<Rule> rules;
  if (random_.Chance(70)) return rules;
  for (std::int64_t left = random_.Below(3) + 1; left > 0; --left) {
    Rule rule;
    if (random_.Chance(70))
      rule.detail = random_.Of({Detail::kFull, Detail::kMinimal, Detail::kEvent, Detail::kReject});
    if (random_.Chance(30)) rule.cores = static_cast<unsigned>(random_.Below(4));
    if (random_.Chance(30)) rule.events = static_cast<unsigned>(random_.Below(3));
    if (random_.Chance(30)) rule.bytes = static_cast<std::uint64_t>(random_.Below(1 << 26));
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::int64_t Simulation::Whenever() {
  const ManagerLimits& limits = setup_.limits;
  switch (random_.Below(6)) {
    case 0:
      return random_.Below(2 * kSecond);
    case 1:
      return random_.Below(15 * kSecond);
    case 2:
      return Soon();
    case 3:
      return random_
          .Of({limits.site, limits.safe, limits.risky, limits.exchange, limits.queue, limits.held,
               limits.die})
          .count();
    default:
      return calm_ ? Soon() : INT64_MAX;
  }
}

bool Simulation::Bad(CrashKey crash, int percent) {
  return !calm_ && moods_[crash].bad && random_.Chance(percent);
}

void Simulation::At(std::int64_t delay, What what, CrashKey crash, const Seat& seat) {
  if (delay == INT64_MAX) return;
  const SimulatedSitter* sitter = referee_->Find(seat);
  happenings_.push({.at = now_ + delay,
                    .order = random_.Next(),
                    .what = what,
                    .crash = crash,
                    .seat = seat,
                    .job = sitter == nullptr ? 0 : sitter->jobs});
}

// Reactions to commands.

void Simulation::React(const command::AskSite& ask) {
  const bool bad = Bad(ask.crash, inspector_trouble_);
  At(Delay(bad), bad && random_.Chance(30) ? What::kDies : What::kSite, ask.crash, ask.seat);
}

void Simulation::React(const command::AskFacts& ask) {
  const bool bad = Bad(ask.crash, inspector_trouble_);
  if (bad && random_.Chance(30)) return At(Delay(true), What::kDies, ask.crash, ask.seat);
  const std::int64_t first = Delay(bad && random_.Chance(50));
  if (first == INT64_MAX) return;
  if (ask.only_safe) return At(first, What::kFacts, ask.crash, ask.seat);
  At(first, What::kFirstFacts, ask.crash, ask.seat);
  if (bad)
    for (int i = 1; i < 4; ++i) At(first + i * 400 * kMillisecond, What::kFirstFacts, ask.crash, ask.seat);
  const std::int64_t rest = Delay(bad);
  if (rest != INT64_MAX) At(first + rest, What::kFacts, ask.crash, ask.seat);
}

void Simulation::React(const command::AskActivity& ask) {
  const bool bad = Bad(ask.crash, inspector_trouble_ / 4);
  At(Delay(bad), bad && random_.Chance(50) ? What::kDies : What::kActivity, ask.crash, ask.seat);
}

void Simulation::React(const command::KeepDoor& keep) {
  keeper_ = keep.seat;
  keeper_moves_ = true;
  keeper_stays_ = random_.Chance(inspector_trouble_ / 4);
  StandAtDoor(keep.seat);
}

/// What who is there does next.
void Simulation::StandAtDoor(const Seat& keeper) {
  if (!calm_ && random_.Chance(inspector_trouble_ / 20)) {
    keeper_moves_ = false;
    if (random_.Chance(50)) At(random_.Below(kSecond), What::kDies, 0, keeper);
    return;
  }
  auto until = std::ranges::max(door_, {}, &DoorPlace::until).until + Door::kMoment;
  if (keeper_stays_) until = INT64_MAX;
  At(random_.Below(20 * kMillisecond), now_ >= until ? What::kDoorLeft : What::kAtDoor, 0, keeper);
}

void Simulation::React(const command::TurnAway& turn) { door_.at(turn.place).until = turn.until; }

void Simulation::React(const command::LookAtDoor&) { At(kAtOnce - now_, What::kDoorSeen); }

void Simulation::React(const command::LeaveDoor& leave) {
  if (keeper_moves_) At(Soon(), What::kDoorLeft, 0, leave.seat);
}

void Simulation::React(const command::Answer& answer) {
  const bool bad = Bad(answer.crash, 50);
  At(Delay(bad), bad && random_.Chance(40) ? What::kConnectionLost : What::kMark, answer.crash);
}

void Simulation::React(const command::Release& release) {
  LetGo(release.crash);
  // The worker sees the end, and stores what it has; or hangs all the same.
  const SimulatedCrash& crash = *referee_->Find(release.crash);
  if (!crash.worker) return;
  if (Bad(crash.key, worker_trouble_)) return;
  At(Soon(), What::kStores, crash.key, *crash.worker);
}

/// Its process may exit.
void Simulation::LetGo(CrashKey crash) {
  Mood& mood = moods_[crash];
  if (mood.leaving == Leaving::kGoes) At(Delay(Bad(crash, 20)), What::kExits, crash);
  if (mood.leaving == Leaving::kWorks) At(random_.Below(20 * kSecond), What::kExits, crash);
}

void Simulation::React(const command::KillProcess& kill) {
  if (moods_[kill.crash].leaving != Leaving::kNever) At(Delay(Bad(kill.crash, 30)), What::kExits, kill.crash);
}

/// That a worker cannot be told is known before anything else happens.
bool Simulation::HandoverFails(const Seat& seat, CrashKey crash) {
  if (!Bad(crash, worker_trouble_ / 2)) return false;
  At(kAtOnce - now_, What::kHandoverFails, crash, seat);
  return true;
}

void Simulation::React(const command::StartCapture& start) {
  if (HandoverFails(start.seat, start.crash)) return;
  moods_[start.crash].steps = Bad(start.crash, worker_trouble_) ? static_cast<int>(random_.Below(30)) : 0;
  WorkOn(start.seat, start.crash);
}

void Simulation::React(const command::StartRecovery& start) {
  if (HandoverFails(start.seat, start.crash)) return;
  moods_[start.crash].steps = Bad(start.crash, worker_trouble_) ? static_cast<int>(random_.Below(10)) : 0;
  WorkOn(start.seat, start.crash);
}

/// What a worker does next with a crash.
void Simulation::WorkOn(const Seat& seat, CrashKey key) {
  const SimulatedCrash* crash = referee_->Find(key);
  if (crash == nullptr) return;
  Mood& mood = moods_[key];
  if (mood.steps > 0 && !calm_) {
    --mood.steps;
    if (random_.Chance(10)) return;  // it hangs
    return At(random_.Below(1500 * kMillisecond), What::kWorks, key, seat);
  }
  const bool bad = Bad(key, worker_trouble_);
  if (bad && random_.Chance(30)) return At(Delay(true), What::kDies, key, seat);
  if (crash->held && !random_.Chance(5)) return At(Delay(bad), What::kReleases, key, seat);
  if (const auto* worker = referee_->Find(seat); worker != nullptr && worker->keeps && !random_.Chance(5))
    return At(Delay(bad), What::kCopies, key, seat);
  At(Delay(bad), bad && random_.Chance(50) ? What::kFails : What::kStores, key, seat);
}

void Simulation::Order(CrashKey crash) {
  const bool late = !calm_ && random_.Chance(clerk_trouble_);
  At(late ? random_.Below(20 * kSecond) : Soon(), What::kOrderDone, crash);
  if (short_ && random_.Chance(50)) At(random_.Below(2 * kSecond), What::kRoomTold);
}

void Simulation::React(const command::Kill& kill) {
  const bool bad =
      !calm_ && random_.Chance(trouble_) && (!fair_ || referee_->Find(kill.seat)->user == User{0u});
  if (kill.seat.role == Role::kInspector || kill.seat.role == Role::kWorker)
    At(Delay(bad), What::kDies, 0, kill.seat);
}

void Simulation::React(const command::LeaveBehind& leave) { Replace(leave.seat); }

/// Somebody else comes to this seat.
void Simulation::Replace(const Seat& seat) {
  const Seat next{seat.role, seat.index, seat.generation + 1};
  std::int64_t delay = Soon();
  if (!fair_ && !calm_ && random_.Chance(trouble_ / 4)) delay = random_.Below(4 * kSecond);
  At(delay, What::kReady, 0, next);
}

}  // namespace obit::testing
