// What happens in the simulated world, and how its manager is told.

#include <algorithm>

#include "manager/patient_clock.h"
#include "manager/test_simulator.h"
#include "manager/test_support.h"

namespace obit::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kSecond = 1'000'000'000;

}  // namespace

/// Who is dead says nothing, and nobody speaks of what he had before.
bool Simulation::StillTrue(const Happening& happening) {
  switch (happening.what) {
    case What::kSite:
    case What::kFirstFacts:
    case What::kFacts:
    case What::kActivity:
    case What::kAtDoor:
    case What::kDoorLeft:
    case What::kHandoverFails:
    case What::kWorks:
    case What::kReleases:
    case What::kCopies:
    case What::kStores:
    case What::kFails: {
      const SimulatedSitter* sitter = referee_->Find(happening.seat);
      if (sitter == nullptr || sitter->jobs != happening.job) return false;
      // Whoever made the worker say more was faster.
      if (happening.what == What::kHandoverFails && sitter->has_read) return false;
      // What was said before SIGKILL comes after it.
      return !sitter->killed || (now_ < sitter->killed_at + 5'000'000 && happening.what != What::kWorks);
    }
    case What::kDies: {
      const SimulatedSitter* sitter = referee_->Find(happening.seat);
      return sitter != nullptr && (sitter->killed || calm_ || sitter->jobs == happening.job);
    }
    case What::kReady: {
      const SimulatedSitter* sitter = referee_->Find(happening.seat);
      return sitter == nullptr ? happening.job == 0 : !sitter->killed;
    }
    case What::kExits: {
      const SimulatedCrash* crash = referee_->Find(happening.crash);
      return crash != nullptr && !crash->exited;
    }
    case What::kMark:
    case What::kRequest:
    case What::kConnectionLost: {
      const SimulatedCrash* crash = referee_->Find(happening.crash);
      return crash != nullptr && crash->held;
    }
    default:
      return true;
  }
}

std::optional<Event> Simulation::EventOf(const Happening& happening) {
  const CrashKey key = happening.crash;
  const Seat& seat = happening.seat;
  switch (happening.what) {
    case What::kArrives: {
      event::Arrived arrived{.crash = ++last_crash_, .id = std::to_string(last_crash_), .time = now_};
      arrived.peer.pid = 1;
      if (const auto user = random_.Below(fair_ ? 4 : 3); user < 3 && !(fair_ && user == 3))
        arrived.user = static_cast<uid_t>(user);
      if (fair_ && !arrived.user) arrived.user = 0;
      if (crowded_ && random_.Chance(70)) arrived.user = 0;
      if (random_.Chance(20)) {
        arrived.transport = Transport::kPipe;
        arrived.core_limit = random_.Of<std::uint64_t>({0, 8192, UINT64_MAX});
      }
      Mood& mood = moods_[arrived.crash];
      mood.bad = fair_ ? arrived.user == 0u : random_.Chance(trouble_);
      if (mood.bad)
        mood.leaving =
            random_.Of({Leaving::kGoes, Leaving::kWorks, Leaving::kWaitsForSigkill, Leaving::kNever});
      return arrived;
    }
    case What::kRequest:
      return event::RequestRead{
          key, random_.Chance(80) ? std::optional(CoredumpRequest{16, 16, 15}) : std::nullopt};
    case What::kMark:
      return event::MarkRead{key, Bad(key, 20) ? CoredumpMark::kConflicting : CoredumpMark::kAccepted};
    case What::kConnectionLost:
      return event::ConnectionLost{key, "it was lost"};
    case What::kExits:
      return event::ProcessExited{key};
    case What::kSite: {
      if (!fair_ && random_.Chance(3))
        return event::SiteFound{.crash = key, .seat = seat, .other_rules = true};
      // Places that no rule has are among them.
      const auto rule = static_cast<std::uint32_t>(random_.Below(4));
      if (random_.Chance(20)) return event::SiteFound{.crash = key, .seat = seat, .rule = rule};
      CrashSite site{.signal = 11, .offset = static_cast<std::uint64_t>(random_.Below(2)), .comm = "a"};
      if (loops_ && random_.Chance(90)) site.offset = 0;
      const std::uint64_t glance = random_.Chance(90) ? site.offset + 1 : 0;
      return event::SiteFound{.crash = key,
                              .seat = seat,
                              .site = site,
                              .boottime = now_,
                              .resident = static_cast<std::uint64_t>(random_.Below(1 << 28)),
                              .glance = glance,
                              .rule = rule,
                              .memory = SomeMemory()};
    }
    case What::kFirstFacts:
      return event::FactsFound{key, seat, false};
    case What::kFacts:
      return event::FactsFound{
          .crash = key,
          .seat = seat,
          .last = true,
          .core_limit = random_.Of<std::optional<std::uint64_t>>({std::nullopt, 0, 8192, UINT64_MAX}),
          .resident = random_.Chance(80) ? static_cast<std::uint64_t>(random_.Below(1 << 28)) : 0,
          .memory = SomeMemory()};
    case What::kActivity: {
      Mood& mood = moods_[key];
      const bool works = mood.leaving == Leaving::kWorks;
      if (works) mood.ticks += static_cast<std::uint64_t>(random_.Below(3));
      return event::ActivityFound{key, seat, !Bad(key, 20), mood.ticks, works && random_.Chance(50)};
    }
    case What::kAtDoor: {
      DoorPlace& place = door_[static_cast<std::size_t>(random_.Below(kDoorPlaces))];
      if (now_ < place.until) place.crashes += static_cast<std::uint64_t>(random_.Below(4));
      return std::nullopt;
    }
    case What::kDoorSeen: {
      event::DoorSeen seen = DoorSeen();
      seen.moves = keeper_moves_;
      return seen;
    }
    case What::kDoorLeft:
      return event::DoorLeft{seat};
    case What::kReady:
      return event::SeatReady{seat};
    case What::kDies:
      return event::SeatLost{seat, "died"};
    case What::kHandoverFails: {
      const bool wants_pump =
          referee_->Find(key)->pipe && referee_->Find(seat)->task != SimulatedSitter::Task::kRecovery;
      using Cause = event::HandoverFailed::Cause;
      if (referee_->Find(seat)->task == SimulatedSitter::Task::kTrace && random_.Chance(30))
        return event::HandoverFailed{key, seat, Cause::kNoTrace, "it has no memory"};
      const Cause cause = random_.Chance(30)                 ? Cause::kShortage
                          : wants_pump && random_.Chance(50) ? Cause::kPump
                          : random_.Chance(30)               ? Cause::kDead
                                                             : Cause::kWorker;
      return event::HandoverFailed{key, seat, cause, "it hangs up"};
    }
    case What::kReleases:
      return event::CaptureReleased{key, seat, referee_->Find(seat)->may_keep && random_.Chance(30)};
    case What::kCopies:
      return event::MemoryCopied{key, seat};
    case What::kStores:
      return event::CaptureEnded{.crash = key,
                                 .seat = seat,
                                 .stored = true,
                                 .core_bytes = static_cast<std::uint64_t>(random_.Below(1 << 25))};
    case What::kFails:
      return event::CaptureEnded{.crash = key, .seat = seat, .stored = false, .error = "disk full"};
    case What::kOrderDone:
      return event::OrderDone{key};
    case What::kAbandoned:
      moods_[++last_crash_].bad = !fair_ && random_.Chance(trouble_);
      return event::Abandoned{last_crash_, std::to_string(last_crash_), "obitd died"};
    case What::kKeptIsGone:
      return event::KeptIsGone{std::to_string(random_.Below(4) + 1)};
    case What::kTracesWanted:
      return event::TracesWanted{random_.Of<std::size_t>({0, 1, 2, 16, 16})};
    case What::kRoomTold:
      return event::RoomTold{SomeRoom()};
    case What::kConfigured:
      setup_.config.memory_pressure = random_.Of({0U, 20U, 50U});
      setup_.config.detail = random_.Of({Detail::kFull, Detail::kFull, Detail::kMinimal});
      setup_.config.no_core_limit = random_.Of({Detail::kFull, Detail::kEvent, Detail::kReject});
      setup_.config.loop_cores = static_cast<unsigned>(random_.Below(3));
      setup_.config.loop_events = static_cast<unsigned>(random_.Below(3));
      setup_.config.rules = SomeRules();
      setup_.config.traces = random_.Chance(50);
      setup_.config.user_crashes = random_.Of({3U, 20U, 5000U});
      setup_.limits.held = random_.Of({2s, 6s});
      setup_.limits.queue = random_.Of({1s, 3s});
      setup_.limits.safe = random_.Of({1s, 3s});
      return event::Configured{setup_.config, setup_.limits};
    case What::kStops:
      return event::Stopping{};
    case What::kPumpDies:
      return event::SeatLost{{Role::kPump, 0, 1}, "died"};
    case What::kPumpReady:
      return event::SeatReady{{Role::kPump, seat.index, 2}};
    case What::kSomebodyDies: {
      const auto& sitters = referee_->sitters;
      if (sitters.empty()) return std::nullopt;
      return event::SeatLost{
          sitters[static_cast<std::size_t>(random_.Below(static_cast<std::int64_t>(sitters.size())))].seat,
          "died"};
    }
    case What::kLies:
      return ALie();
    case What::kWorks:
      break;
  }
  return std::nullopt;
}

std::optional<MemoryLoad> Simulation::SomeMemory() {
  if (!short_) return std::nullopt;
  return random_.Of<std::optional<MemoryLoad>>({std::nullopt, MemoryLoad{.pressure = 100},
                                                MemoryLoad{.pressure = 3000}, MemoryLoad{.pressure = 9000},
                                                MemoryLoad{.total = 1000, .available = 10}});
}

DiskRoom Simulation::SomeRoom() {
  if (calm_ || random_.Chance(20)) return {};
  const auto bytes = [this] {
    return random_.Of<std::uint64_t>({0, static_cast<std::uint64_t>(random_.Below(1 << 23)),
                                      static_cast<std::uint64_t>(random_.Below(1 << 28)),
                                      static_cast<std::uint64_t>(random_.Below(1 << 30)), UINT64_MAX});
  };
  return {.cores = bytes(), .free = bytes(), .has_records = random_.Chance(90)};
}

event::DoorSeen Simulation::DoorSeen() const {
  event::DoorSeen seen{.moves = std::nullopt};
  for (std::size_t i = 0; i < door_.size(); ++i) seen.places[i] = {door_[i].crashes, now_};
  return seen;
}

/// What no honest inspector or worker says.
Event Simulation::ALie() {
  const CrashKey crash = static_cast<CrashKey>(random_.Below(static_cast<std::int64_t>(last_crash_) + 2));
  const Seat inspector{Role::kInspector, static_cast<std::uint32_t>(random_.Below(3)), 1};
  const Seat worker{Role::kWorker, inspector.index, 1};
  switch (random_.Below(9)) {
    case 0:
      return event::SiteFound{crash, inspector};
    case 1:
      return event::FactsFound{crash, inspector, random_.Chance(50)};
    case 2:
      return event::ActivityFound{crash, inspector};
    case 3:
      return event::CaptureReleased{crash, worker, random_.Chance(30)};
    case 4:
      return event::CaptureEnded{
          .crash = crash, .seat = worker, .stored = true, .core_bytes = std::uint64_t{1} << 31};
    case 5:
      return event::MemoryCopied{crash, worker};
    case 6:  // which is none
      return event::LetGo{std::to_string(crash)};
    case 7:
      if (referee_->Find(worker) != nullptr) return event::SeatReady{worker};
      [[fallthrough]];
    default:
      return event::MarkRead{crash};
  }
}

void Simulation::Tell(const Event& event) {
  if (tells_) story_ += fmt::format("{:9.6f} {}\n", static_cast<double>(now_) / 1e9, TextOf(event));
  ++told_;
  referee_->See(event, now_);
  for (const Command& command : manager_->On(event, now_)) {
    if (tells_) story_ += "            -> " + std::visit(TextOfCommand{}, command) + "\n";
    referee_->Judge(command);
    if (!referee_->wrong().empty()) return;
    std::visit([this](const auto& kind) { React(kind); }, command);
  }
  referee_->JudgeState(*manager_);
}

void Simulation::Happen(const Happening& happening) {
  if (!StillTrue(happening)) return;
  if (happening.what == What::kArrives && stops_ && manager_stopping_) return;
  if (happening.what == What::kWorks) referee_->Progress(*referee_->Find(happening.seat), now_);
  const auto event = EventOf(happening);
  if (event) {
    // A sitter whose seat nobody else has yet is replaced.
    const auto* lost = std::get_if<event::SeatLost>(&*event);
    const SimulatedSitter* sitter = lost != nullptr ? referee_->Find(lost->seat) : nullptr;
    const bool vacant = sitter != nullptr && !sitter->left_behind;
    if (happening.what == What::kSite) Tell(DoorSeen());
    Tell(*event);
    if (vacant) Replace(lost->seat);
  }
  Follow(happening);
}

/// What happens next, whatever the manager does.
void Simulation::Follow(const Happening& happening) {
  const CrashKey key = happening.what == What::kArrives ? last_crash_ : happening.crash;
  switch (happening.what) {
    case What::kArrives:
      if (!referee_->Find(key)->pipe) At(Delay(Bad(key, 30)), What::kRequest, key);
      if (Bad(key, 15)) {
        const std::int64_t when = Whenever();
        At(when, What::kConnectionLost, key);
        At(when, What::kExits, key);
      }
      break;
    case What::kReleases:
      LetGo(key);
      if (Bad(key, worker_trouble_)) moods_[key].steps = static_cast<int>(random_.Below(10));
      WorkOn(happening.seat, key);
      break;
    case What::kWorks:
    case What::kCopies:
      WorkOn(happening.seat, key);
      break;
    case What::kAtDoor:
      StandAtDoor(happening.seat);
      break;
    case What::kStores:
    case What::kFails: {
      const bool bad = !fair_ && !calm_ && random_.Chance(worker_trouble_ / 4);
      At(Delay(bad), What::kReady, 0, happening.seat);
      break;
    }
    case What::kHandoverFails:
    case What::kPumpDies:
      At(Soon(), What::kPumpReady, 0, happening.seat);
      break;
    case What::kStops:
      manager_stopping_ = true;
      break;
    default:
      break;
  }
}

}  // namespace obit::testing
