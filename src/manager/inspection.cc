#include "manager/inspection.h"

#include <algorithm>
#include <utility>

#include "base/signal_name.h"
#include "crash/loop_reason.h"

namespace obit {

using Wanted = OpenCrash::Wanted;

namespace {

std::string WhyNoCore(const CrashSites::Judgement& judgement) {
  const SiteState& site = judgement.state;
  const std::string cores =
      fmt::format("{} core{}, of {} bytes", site.cores, site.cores == 1 ? "" : "s", site.bytes);
  const std::string promised =
      site.promised == 0 ? "" : fmt::format(" and {} more for those under way", site.promised);
  switch (judgement.bound) {
    case CrashSites::Bound::kCores:
      break;
    case CrashSites::Bound::kBytes:
      return fmt::format(
          "one more core may go beyond the bytes of this place of the program, which has had {}{}", cores,
          promised);
    case CrashSites::Bound::kRecords:
      return fmt::format("{} crashes at this place of the program are recorded", site.records - 1);
  }
  return fmt::format("this place of the program has had {}{}", cores, promised);
}

}  // namespace

void Inspection::Begin(OpenCrash& crash) {
  const Config& config = state_.setup.config;
  const bool by_unit = config.unit_crashes > 0 || config.unit_bytes > 0;
  const bool by_site = config.loop_cores > 0 || by_unit || !config.rules.empty();
  Want(crash, by_site ? Wanted::kSite : Wanted::kFacts);
}

void Inspection::Want(OpenCrash& crash, Wanted wanted) {
  crash.wanted = wanted;
  crash.asked = false;
  crash.since = state_.now;
  waiting_.Add(crash.user(), crash.key);
  state_.Touch(crash);
}

void Inspection::End(OpenCrash& crash) {
  (void)waiting_.Remove(crash.user(), crash.key);
  crash.wanted = Wanted::kNothing;
  crash.asked = false;
  state_.Touch(crash);
}

void Inspection::On(const event::SiteFound& found) {
  if (!inspectors_.Answered(found.seat, found.crash, Sitter::Task::kSite, true)) return;
  state_.SawMemory(found.memory);
  OpenCrash* crash = state_.Find(found.crash);
  if (crash == nullptr || !crash->asked) return;  // it has ended meanwhile
  // Once more: whoever says so each time is not to be believed.
  if (found.other_rules)
    return Want(*crash, std::exchange(crash->asked_again, true) ? Wanted::kFacts : Wanted::kSite);
  TakeRule(*crash, found.rule);
  if (found.site && !crash->rejected) Judge(*crash, found);
  if (crash->only_counted())
    End(*crash);
  else
    Want(*crash, Wanted::kFacts);
}

/// What wins now holds to the end of this crash, whatever is configured meanwhile.
void Inspection::TakeRule(OpenCrash& crash, std::uint32_t rule) {
  if (rule == 0 || rule > state_.ruled.size()) return;
  crash.ruled = state_.ruled[rule - 1];
  crash.rejected = crash.ruled->detail == Detail::kReject;
}

/// How much memory there is tells nothing of a minimal core.
void Inspection::NoteResident(OpenCrash& crash, std::uint64_t resident) {
  if (crash.resident == 0 && state_.ConfigOf(crash).detail != Detail::kMinimal) crash.resident = resident;
}

/// What is over its budget takes nothing of its site, and no facts are asked for.
void Inspection::Judge(OpenCrash& crash, const event::SiteFound& found) {
  const Config& config = state_.ConfigOf(crash);
  NoteResident(crash, found.resident);
  crash.whose = state_.budgets.AccountsOf({.share = crash.share,
                                           .known = true,
                                           .container = found.site->container,
                                           .unit = found.site->service,
                                           .unit_of_system = found.site->service_of_system});
  const auto room = state_.budgets.RoomFor(crash.whose, state_.now, state_.setup.config);
  if (room == Budgets::Room::kCount) {
    crash.over_budget = true;
    return;
  }
  if (room == Budgets::Room::kEvent) crash.lowers = kOverBudgetReason;
  const bool may_have_core = room == Budgets::Room::kCore && config.detail < Detail::kEvent;
  const auto judgement = state_.sites.Judge({.id = crash.id,
                                             .time = crash.time,
                                             .site = *found.site,
                                             .now = found.boottime,
                                             .resident = crash.resident,
                                             .share = crash.share,
                                             .may_have_core = may_have_core},
                                            config);
  const SiteState& site = judgement.state;
  door_.Sighted(judgement.at, found.glance);
  crash.ticket = judgement.ticket;
  crash.site_has_core = judgement.verdict != CrashSites::Verdict::kCore && site.cores > 0;
  switch (judgement.verdict) {
    case CrashSites::Verdict::kCore:
      return;
    case CrashSites::Verdict::kEvent:
      if (may_have_core) crash.lowers = LoopReason(WhyNoCore(judgement), judgement.like);
      return;
    case CrashSites::Verdict::kLoopBegins:
    case CrashSites::Verdict::kCount:
      crash.repeat = true;
      state_.Do(command::NoteRepeats{crash.key});
      if (!state_.ByMemory()) door_.Counted(judgement.at, found.glance, found.boottime);
      if (judgement.verdict == CrashSites::Verdict::kCount) return;
      state_.Say(Severity::kNotice,
                 "{}[{}] {}: a crash loop: {} of them are kept, the others are counted, for {} s at most",
                 found.site->comm, crash.peer.pid, SignalName(found.site->signal), site.records,
                 (site.until - found.boottime) / 1'000'000'000 + 1);
  }
}

void Inspection::On(const event::FactsFound& found) {
  if (!inspectors_.Answered(found.seat, found.crash, Sitter::Task::kFacts, found.last)) return;
  state_.SawMemory(found.memory);
  OpenCrash* crash = state_.Find(found.crash);
  if (crash == nullptr || !crash->asked) return;
  if (found.core_limit) crash->core_limit = *found.core_limit;
  NoteResident(*crash, found.resident);
  if (found.last) End(*crash);
}

void Inspection::Unanswered(OpenCrash& crash) {
  if (!crash.asked) return;
  if (crash.wanted == Wanted::kSite)
    Want(crash, Wanted::kSafeFacts);
  else
    End(crash);
}

void Inspection::AskNext() {
  while (Sitter* inspector = inspectors_.Free()) {
    const auto next = waiting_.Next([this](User user) { return inspectors_.UsedBy(user); });
    if (!next) return;
    OpenCrash& crash = *state_.Find(*next);
    (void)waiting_.Remove(crash.user(), crash.key);
    crash.asked = true;
    if (inspectors_.Distrusts(crash.user())) crash.wanted = Wanted::kSafeFacts;
    if (crash.wanted == Wanted::kSite)
      inspectors_.AskSite(*inspector, crash);
    else
      inspectors_.AskFacts(*inspector, crash, crash.wanted == Wanted::kSafeFacts);
    state_.Touch(crash);
  }
}

/// In a storm inspectors answer all the time, and a crash waits for its turn. Where no answer comes they are
/// scarce: then safe facts will do, and in the end none.
std::int64_t Inspection::WaitsUntil(const OpenCrash& crash) const {
  if (crash.wanted == Wanted::kNothing || crash.asked) return INT64_MAX;
  const ManagerLimits& limits = state_.limits();
  auto patience = limits.site;
  if (crash.wanted == Wanted::kSafeFacts) patience += limits.safe;
  return std::min(std::max(crash.since, inspectors_.last_answer()) + patience.count(),
                  crash.arrived + limits.exchange.count());
}

void Inspection::WaitedLong(OpenCrash& crash) {
  if (crash.wanted == Wanted::kSafeFacts || state_.now >= crash.arrived + state_.limits().exchange.count())
    return End(crash);
  crash.wanted = Wanted::kSafeFacts;  // and goes on waiting, from when it began
  state_.Touch(crash);
}

}  // namespace obit
