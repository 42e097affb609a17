// Which commands the referee allows.

#include <algorithm>

#include "manager/test_referee.h"

namespace obit::testing {
void Referee::Judge(const Command& command) {
  std::visit([this](const auto& kind) { On(kind); }, command);
}

SimulatedCrash& Referee::Open(CrashKey key, const char* command) {
  if (SimulatedCrash* crash = Find(key)) return *crash;
  Wrong(fmt::format("{} names crash {}, which is not open", command, key));
  return crashes[0] = {.forgotten = true};
}

bool Referee::Distrusted(const User& user) const {
  const auto left = Count(Role::kInspector, [](const auto& other) { return other.left_behind; });
  if (left >= std::max<std::size_t>(setup_.limits.left_behind / 4, 1)) return true;
  return std::ranges::count_if(strikes_, [&](const Strike& strike) {
           const bool lives = std::ranges::count(sitters, strike.seat, &SimulatedSitter::seat) > 0;
           return strike.user == user && (lives || now_ < strike.time + 60'000'000'000);
         }) >= 2;
}

/// It is known of it what can be known, or was waited for long enough. `now`: it is decided just now.
void Referee::ExpectInspected(const SimulatedCrash& crash, bool now) {
  Expect(crash.request_read && !crash.lost, "its request has come", crash.key);
  if (crash.repeat || crash.rejected() || crash.facts_over) return;
  Expect(!crash.asked_facts, "an inspector has the question", crash.key);
  Expect(!fair || crash.uid == 0u, "everything is found out", crash.key);
  const std::int64_t since = now ? std::max(crash.arrived, last_answer_) : crash.arrived;
  Expect(Past(now_, crash.arrived, tightest_.exchange) || Past(now_, since, tightest_.site + tightest_.safe),
         "an inspector is waited for", crash.key);
}

/// By its rule, or else by one of the configurations that were in force; it may be an event because its site
/// has had its cores.
bool Referee::Decided(const SimulatedCrash& crash, Detail detail,
                      std::optional<std::uint64_t> core_max) const {
  if (crash.repeat) return detail == Detail::kReject;
  if (detail == Detail::kEvent && crash.site) return true;
  CrashRecord record;
  record.process.core_limit = crash.core_limit;
  const auto by = [&](const Config& config) {
    const Decision decision = Decide(record, config);
    return decision.detail == detail && (!core_max || decision.core_max == *core_max);
  };
  return crash.ruled ? by(*crash.ruled) : std::ranges::any_of(configs_, by);
}

/// At its site, by the configuration that keeps most; if that keeps all, any number. A window may have begun
/// anew meanwhile.
void Referee::ExpectFewCores(const SimulatedCrash& crash) {
  if (!crash.site) return;
  std::size_t most = 0;
  std::int64_t window = INT64_MAX;
  for (const auto* configs : {&configs_, &ruled_})
    for (const Config& config : *configs) {
      if (config.loop_cores == 0) return;
      most = std::max<std::size_t>(most, config.loop_cores);
      window = std::min(window, std::chrono::nanoseconds(config.loop_window).count());
    }
  std::size_t cores = 0;
  for (const auto& [key, other] : crashes)
    if (key != crash.key && other.site == crash.site && other.captures > 0 && other.arrived > now_ - window &&
        (other.worker || (other.worker_lost && !other.ended) || other.core_bytes > 0))
      ++cores;
  Expect(cores < 2 * most, "a site has so many cores", crash.key);
}

// To inspectors.

void Referee::Ask(CrashKey key, const Seat& seat, Task task, const char* command) {
  SimulatedCrash& crash = Open(key, command);
  SimulatedSitter* inspector = Find(seat);
  if (inspector == nullptr) return Wrong(fmt::format("{} to nobody", command));
  Expect(seat.role == Role::kInspector && inspector->idle && !inspector->killed && !inspector->left_behind,
         "who is asked has nothing to do", key);
  Expect(Count(Role::kInspector,
               [&](const auto& other) { return other.user == std::optional<User>(crash.user()); }) <
             ShareOf(setup_.inspectors),
         "a user has his share of the inspectors", key);
  inspector->idle = false;
  inspector->task = task;
  inspector->crash = key;
  inspector->user = crash.user();
  inspector->asked = now_;
  inspector->first = 0;
  ++inspector->jobs;
}

void Referee::On(const command::AskSite& ask) {
  Ask(ask.crash, ask.seat, Task::kSite, "AskSite");
  SimulatedCrash& crash = crashes[ask.crash];
  Expect(crash.held && !crash.ended && !crash.asked_facts && !crash.asked_site, "its site can be of use",
         ask.crash);
  Expect(!Distrusted(crash.user()), "no site of whoever costs inspectors", ask.crash);
  crash.asked_site = true;
}

void Referee::On(const command::AskFacts& ask) {
  Ask(ask.crash, ask.seat, Task::kFacts, "AskFacts");
  SimulatedCrash& crash = crashes[ask.crash];
  Expect(crash.held && !crash.ended && !crash.asked_facts && !crash.repeat, "its facts can be of use",
         ask.crash);
  Expect(ask.only_safe || !Distrusted(crash.user()), "nothing risky of whoever costs inspectors", ask.crash);
  Expect(!ask.only_safe || !fair || crash.uid == 0u, "all facts are asked", ask.crash);
  Expect(ask.only_safe || !crash.site_lost, "nothing risky where a site hung", ask.crash);
  if (crash.ruled) {
    Expect(!crash.rejected() && (!ask.for_core || crash.ruled->detail < Detail::kEvent),
           "its rule wants that", ask.crash);
    Expect(ask.if_unwanted < Detail::kEvent || crash.ruled->no_core_limit != Detail::kFull ||
               crash.ruled->detail >= Detail::kEvent,
           "its rule wants a core whatever its limit", ask.crash);
  }
  crash.asked_facts = true;
}

void Referee::On(const command::AskActivity& ask) {
  Ask(ask.crash, ask.seat, Task::kActivity, "AskActivity");
  const SimulatedCrash& crash = crashes[ask.crash];
  Expect(!crash.held && !crash.exited && !crash.killed, "its process is to be looked at", ask.crash);
}

// About processes.

void Referee::On(const command::Answer& answer) {
  SimulatedCrash& crash = Open(answer.crash, "Answer");
  const bool over_budget =
      answer.detail == Detail::kReject && std::ranges::any_of(configs_, [](const Config& config) {
        return config.user_crashes < Config().user_crashes;
      });
  const bool no_records = answer.detail == Detail::kReject && !room_.has_records;
  const bool no_core = answer.detail == Detail::kEvent && (crash.had_no_room || !HasRoomForMinimal(crash));
  if (!over_budget) ExpectInspected(crash, !no_core && !no_records);
  Expect(crash.held && crash.has_offer && !crash.answered && crash.captures == 0, "there is an offer",
         crash.key);
  Expect(over_budget || no_records || (no_core && !crash.repeat) || Decided(crash, answer.detail),
         "the answer is as decided", crash.key);
  Expect(answer.detail == Detail::kEvent || answer.detail == Detail::kReject, "a worker answers for a core",
         crash.key);
  if (no_core) ++left_;
  crash.answered = answer.detail;
  crash.answered_at = now_;
  crash.had_no_room = no_core;
}

void Referee::On(const command::Release& release) {
  SimulatedCrash& crash = Open(release.crash, "Release");
  Expect(crash.held, "it is held", crash.key);
  if (SimulatedSitter* worker = crash.worker ? Find(*crash.worker) : nullptr) {
    Expect(StopOver() || Past(now_, worker->progressed, tightest_.held) ||
               Past(now_, worker->asked, tightest_.capture) ||
               (Past(now_, worker->asked, tightest_.held) &&
                std::ranges::any_of(crashes,
                                    [&](const auto& other) { return IsHeldUp(other.second, *worker); })),
           "its capture has time", crash.key);
    worker->progressed = now_;
  }
  crash.held = false;
  crash.quiet_since = crash.let_go = now_;
}

void Referee::On(const command::KillProcess& kill) {
  SimulatedCrash& crash = Open(kill.crash, "KillProcess");
  Expect(!crash.held && !crash.exited && !crash.killed, "its process may be killed", crash.key);
  Expect(Past(now_, crash.quiet_since, tightest_.look * tightest_.idle_looks), "its process has time",
         crash.key);
  crash.killed = true;
  crash.killed_at = now_;
}

// To workers.

std::size_t Referee::WorkersOf(const User& user) const {
  return Count(Role::kWorker, [&](const auto& other) {
    return other.user == std::optional<User>(user) && !other.left_behind;
  });
}

bool Referee::GetsNoMore(const User& user) const {
  return Count(Role::kWorker, [&](const auto& other) {
           return other.user == std::optional<User>(user) && other.left_behind && other.killed;
         }) >= UndeadMax(setup_.limits);
}

std::size_t Referee::Recoveries() const {
  return Count(Role::kWorker, [](const auto& other) {
    return other.task == Task::kRecovery && other.crash != 0 && !other.left_behind && !other.killed;
  });
}

/// Whatever others do.
bool Referee::MayHaveMore(const User& user) const {
  const std::size_t has = WorkersOf(user);
  return !GetsNoMore(user) &&
         (has == 0 || (has < ShareOf(setup_.workers) && has + Recoveries() + 1 < setup_.workers));
}

/// For a worker, and for nothing else.
bool Referee::SurelyWaits(const SimulatedCrash& crash) const {
  return crash.held && !crash.forgotten && !crash.ended && !crash.lost && !crash.repeat && crash.facts_over &&
         crash.request_read && !crash.answered && crash.captures == 0 && !crash.traced;
}

bool Referee::WaitsForRecovery(const SimulatedCrash& crash) {
  return !crash.held && !crash.ended && !crash.forgotten && !crash.worker &&
         (crash.abandoned || crash.worker_lost);
}

/// It may wait for what this worker has, of which its user would get more.
bool Referee::IsHeldUp(const SimulatedCrash& crash, const SimulatedSitter& by) const {
  if (!crash.held || crash.forgotten || crash.ended || crash.answered || crash.captures > 0 || crash.traced)
    return false;
  const std::size_t own = by.user == std::optional<User>(crash.user()) ? 1 : 0;
  const std::size_t has = WorkersOf(crash.user()) - own;
  return !GetsNoMore(crash.user()) && (has == 0 || has + Recoveries() + 1 < setup_.workers) &&
         has < WorkersOf(*by.user) && Past(now_, crash.arrived, tightest_.queue);
}

SimulatedSitter* Referee::Start(CrashKey key, const Seat& seat, Task task, const char* command) {
  SimulatedCrash& crash = Open(key, command);
  SimulatedSitter* worker = Find(seat);
  if (worker == nullptr) {
    Wrong(fmt::format("{} to nobody", command));
    return nullptr;
  }
  Expect(seat.role == Role::kWorker && worker->idle && !worker->killed && !worker->left_behind,
         "who has to work is ready", key);
  Expect(!crash.ended && !crash.worker, "it is to be captured", key);
  worker->idle = worker->has_read = worker->may_keep = worker->keeps = worker->let_go = false;
  worker->task = task;
  worker->crash = key;
  worker->asked = worker->progressed = now_;
  if (crash.tried_at == 0 && task != Task::kTrace) crash.tried_at = now_;
  ++worker->jobs;
  crash.worker = seat;
  crash.worker_lost = false;
  return worker;
}

/// What is to have no core has one for the trace alone where that costs nobody anything.
void Referee::StartTrace(const command::StartCapture& start) {
  SimulatedCrash& crash = Open(start.crash, "StartCapture");
  ExpectInspected(crash, !start.lowered);
  Expect(crash.held && !crash.answered && crash.captures == 0 && !crash.traced, "it is decided", crash.key);
  crash.had_no_room = start.lowered.what == Shortage::kDisk && !HasRoomForMinimal(crash);
  Expect(start.lowered ? crash.had_no_room : Decided(crash, Detail::kEvent), "an event alone has a trace",
         crash.key);
  Expect(!memory_ || Past(now_, memory_seen_, std::chrono::seconds(10)) ||
             !JudgeMemory(*memory_, configs_.back()),
         "memory is short", crash.key);
  Expect(std::ranges::any_of(configs_, &Config::traces), "traces are wanted", crash.key);
  Expect(std::ranges::count_if(crashes, [](const auto& one) { return one.second.trace_open; }) <
             static_cast<std::ptrdiff_t>(traces_wanted_),
         "the clerk has room for a trace", crash.key);
  Expect(stop_at_ == INT64_MAX, "obitd stops", crash.key);
  if (start.lowered) ++left_;
  Expect(queued_ <= left_ && std::ranges::none_of(crashes,
                                                  [&](const auto& other) {
                                                    return other.first != crash.key &&
                                                           SurelyWaits(other.second) &&
                                                           MayHaveMore(other.second.user());
                                                  }),
         "captures go first", crash.key);
  Expect(!crash.pipe || !vacant_pumps[start.seat.index], "there is a pump", crash.key);
  const std::size_t used = WorkersOf(crash.user());
  Expect(!GetsNoMore(crash.user()), "whoever cost workers for good gets no more", crash.key);
  Expect(used == 0 || used + 1 < setup_.workers, "a worker stays free for others", crash.key);
  if (SimulatedSitter* worker = Start(start.crash, start.seat, Task::kTrace, "StartCapture"))
    worker->user = crash.user();
  Expect(Count(Role::kWorker, [](const auto& sitter) { return sitter.idle; }) > 0, "one more is free",
         crash.key);
  crash.traced = crash.trace_open = true;
}

void Referee::On(const command::StartCapture& start) {
  if (start.detail == Detail::kEvent) return StartTrace(start);
  const SimulatedCrash& crash = Open(start.crash, "StartCapture");
  ExpectInspected(crash, false);
  Expect(crash.held && !crash.answered && crash.captures == 0, "it waits for a worker", crash.key);
  const Lowered& lowered = start.lowered;
  Expect(start.detail == Detail::kMinimal || !lowered, "what is lowered is minimal", crash.key);
  Expect(
      lowered ? Decided(crash, Detail::kFull, start.core_max) : Decided(crash, start.detail, start.core_max),
      "as decided", crash.key);
  if (lowered)
    Expect(MayBeLowered(crash, lowered.what, start.core_max), "what was short was short", crash.key);
  const CoreBytes core = start.detail == Detail::kFull ? FullCore(std::min(crash.resident, start.core_max))
                                                       : MinimalCore(crash.resident);
  Expect(room_unsure_ || HasRoom(core), "the disk has room for it", crash.key);
  Expect(!crash.pipe || !vacant_pumps[start.seat.index], "there is a pump", crash.key);
  const std::size_t used = WorkersOf(crash.user());
  Expect(!GetsNoMore(crash.user()), "whoever cost workers for good gets no more", crash.key);
  Expect(used == 0 || used + 1 < setup_.workers, "a worker stays free for others", crash.key);
  ExpectFewCores(crash);
  if (SimulatedSitter* worker = Start(start.crash, start.seat, Task::kCapture, "StartCapture"))
    worker->user = crash.user(), worker->may_keep = start.keep_refusal == KeepRefusal::kNone &&
                                                    start.detail == Detail::kFull &&
                                                    crash.resident >= kKeptMin;
  ++crashes[start.crash].captures;
  ++left_;
  crashes[start.crash].promised = core;
  Expect(start.keep_refusal != KeepRefusal::kNone ||
             (Count(Role::kWorker, [](const auto& other) { return other.keeps; }) < loosest_.kept_at_once &&
              std::ranges::any_of(configs_, &Config::early_release)),
         "its memory may be kept", crash.key);
}

/// Beside all that was promised and is not in what the clerk said.
bool Referee::HasRoom(const CoreBytes& core) const {
  std::uint64_t expected = core.expected, most = core.most;
  const bool is_minimal = core.expected == 0;
  for (const auto& [key, crash] : crashes) {
    expected += crash.promised.expected;
    if (!is_minimal || crash.promised.expected == 0) most += crash.promised.most;
  }
  return (is_minimal || expected <= room_.cores) && most <= room_.free;
}

bool Referee::HasRoomForMinimal(const SimulatedCrash& crash) const {
  return !room_unsure_ && HasRoom(MinimalCore(crash.resident));
}

bool Referee::MayBeLowered(const SimulatedCrash& crash, Shortage what, std::uint64_t core_max) const {
  switch (what) {
    case Shortage::kNone:
      return false;
    case Shortage::kDisk:
      return room_unsure_ || !HasRoom(FullCore(std::min(crash.resident, core_max)));
    case Shortage::kMemory:
      return memory_ && std::ranges::any_of(configs_, [this](const Config& config) {
               return static_cast<bool>(JudgeMemory(*memory_, config));
             });
    case Shortage::kQueue:  // for the sake of one that waits, or may
      return std::ranges::any_of(crashes, [&](const auto& one) {
        const SimulatedCrash& other = one.second;
        return other.key != crash.key && other.user() == crash.user() && other.held && !other.ended &&
               !other.forgotten && !other.lost && !other.answered && other.captures == 0 && !other.traced &&
               other.request_read;
      });
  }
  return false;
}

void Referee::On(const command::StartRecovery& start) {
  SimulatedCrash& crash = Open(start.crash, "StartRecovery");
  if (crash.worker && Find(*crash.worker)->killed &&
      Past(now_, Find(*crash.worker)->killed_at, tightest_.die))
    LoseWorker(*Find(*crash.worker));
  Expect(!crash.held && crash.recoveries == 0 && (crash.abandoned || crash.worker_lost),
         "it is to be recovered", crash.key);
  Expect(!crash.abandoned || stop_at_ == INT64_MAX, "what waits is for the next start", crash.key);
  std::int64_t left_at = crash.left_at;
  for (const auto& [key, other] : crashes)
    if (WaitsForRecovery(other)) left_at = std::min(left_at, other.left_at);
  for (const SimulatedSitter& other : sitters)  // without whom a crash may have gone on already
    if (other.killed && other.crash != 0) left_at = std::min(left_at, other.killed_at);
  const bool due = Recoveries() == 0 && Past(now_, std::max(recovered_, left_at), tightest_.held);
  Expect(setup_.workers == 1 || (due && WorkersOf(crash.user()) == 0) ||
             Count(Role::kWorker, [](const auto& sitter) { return sitter.idle; }) > 1,
         "a worker is free for captures", crash.key);
  Expect(due || std::ranges::none_of(crashes,
                                     [this](const auto& other) {
                                       return SurelyWaits(other.second) && MayHaveMore(other.second.user());
                                     }),
         "captures go first", crash.key);
  Expect(now_ - late_ < stop_at_, "nothing begins any more", crash.key);
  (void)Start(start.crash, start.seat, Task::kRecovery, "StartRecovery");
  ++crash.recoveries;
  recovered_ = now_;
}

void Referee::On(const command::Kill& kill) {
  SimulatedSitter* sitter = Find(kill.seat);
  if (sitter == nullptr || sitter->killed) return Wrong("Kill of one who is dead");
  if (kill.seat.role == Role::kInspector && sitter->task == Task::kDoor) {
    ExpectKeeperHadTime(*sitter);
  } else if (kill.seat.role == Role::kInspector) {
    const auto time = sitter->task == Task::kSite ? tightest_.site
                      : sitter->first != 0        ? tightest_.risky
                                                  : tightest_.safe;
    Expect(sitter->task != Task::kNone && Past(now_, std::max(sitter->asked, sitter->first), time),
           "an inspector has time", sitter->crash);
    strikes_.push_back({*sitter->user, sitter->seat, now_});
    LoseQuestion(*sitter);
    sitter->crash = 0;
  } else {
    const SimulatedCrash* crash = Find(sitter->crash);
    const bool reads_what_is_gone =
        sitter->task != Task::kRecovery && !sitter->has_read && crash != nullptr && !crash->held;
    const auto patience = reads_what_is_gone   ? tightest_.die
                          : sitter->crash == 0 ? tightest_.stored
                                               : tightest_.stored + tightest_.given_up;
    const bool kept_too_long =
        sitter->keeps && (stop_at_ != INT64_MAX || sitter->let_go ||
                          Past(now_, sitter->kept_since, tightest_.keep + tightest_.die));
    Expect(kept_too_long || (StopOver() && sitter->crash != 0) ||
               (sitter->left_behind && sitter->crash == 0) || std::exchange(sitter->hangs_up, false) ||
               Past(now_, sitter->progressed, patience) ||
               (sitter->task != Task::kRecovery &&
                Past(now_, sitter->asked, tightest_.capture + tightest_.stored + tightest_.given_up)),
           "a worker has time", sitter->crash);
  }
  sitter->idle = false;
  sitter->killed = true;
  sitter->killed_at = now_;
}

void Referee::On(const command::LeaveBehind& leave) {
  SimulatedSitter* sitter = Find(leave.seat);
  if (sitter == nullptr || sitter->left_behind) return Wrong("LeaveBehind of one who has no seat");
  const auto left = [](const auto& other) { return other.left_behind; };
  Expect(Count(leave.seat.role, left) < loosest_.left_behind, "not too many are left behind");
  if (sitter->user)
    Expect(
        Count(leave.seat.role, [&](const auto& other) { return left(other) && other.user == sitter->user; }) <
            ShareOf(loosest_.left_behind),
        "not too many of one user are left behind");
  Expect(sitter->killed ? Past(now_, sitter->killed_at, tightest_.die)
                        : leave.seat.role == Role::kWorker &&
                              (sitter->keeps || Past(now_, sitter->progressed, tightest_.stored)),
         "who sits there has time", sitter->crash);
  sitter->aside = sitter->keeps && !sitter->killed;
  sitter->left_behind = true;
}

}  // namespace obit::testing
