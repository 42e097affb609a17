// Which times the referee allows.

#include <algorithm>
#include <utility>

#include "manager/test_referee.h"

namespace obit::testing {

void Referee::JudgeState(const Manager& manager) {
  const Manager::Load load = manager.load();
  Expect(manager.NextDeadline() > now_, "a deadline is over");
  JudgeJobs(load);
  JudgeRecoveries();
  // Who could not be handed over has neither left nor joined.
  if (!std::exchange(handover_failed_, false) && (load.queued > queued_ || left_queue_)) joined_ = now_;
  queued_ = load.queued;
  if (queued_ > 0)
    ExpectBy(
        std::max({joined_, Moved(), may_have_moved_, worked_}) + (loosest_.queue + loosest_.look).count(),
        "the queue stands still for too long");
  std::size_t held = 0;
  for (const auto& [key, crash] : crashes) {
    if (crash.forgotten) continue;
    held += crash.held ? 1 : 0;
    JudgeTimes(crash);
  }
  Expect(load.open == held, "load: what is open");
  const auto left = [](const SimulatedSitter& sitter) { return sitter.left_behind; };
  const auto for_good = [&](const SimulatedSitter& sitter) { return left(sitter) && !sitter.aside; };
  Expect(load.left_behind >= Count(Role::kInspector, for_good) + Count(Role::kWorker, for_good) &&
             load.left_behind <= Count(Role::kInspector, left) + Count(Role::kWorker, left),
         "load: left behind");
  Expect(load.kept.processes <= Count(Role::kWorker, [](const auto& sitter) { return sitter.keeps; }) &&
             load.kept.processes >=
                 Count(Role::kWorker, [](const auto& sitter) { return sitter.keeps && !sitter.killed; }),
         "load: whose memory is kept");
  // A crash goes on without who does not die.
  const auto has = Count(Role::kWorker, [&](const auto& sitter) {
    return sitter.crash != 0 && !(sitter.killed && now_ - late_ > sitter.killed_at + loosest_.die.count());
  });
  const auto may_have =
      Count(Role::kWorker, [](const auto& sitter) { return sitter.crash != 0 && !sitter.killed; });
  Expect(load.captures <= has && load.captures >= may_have, "load: captures");
  const std::size_t most = setup_.limits.left_behind;
  for (const Role role : {Role::kInspector, Role::kWorker}) {
    if (Count(role, left) >= ShareOf(most)) full_at_[role] = now_;
  }
  for (const SimulatedSitter& sitter : sitters) JudgeTimes(sitter);
}

/// They wait while captures do, but not for ever, and a queue that was empty for less than a second is the
/// same.
void Referee::JudgeJobs(const Manager::Load& load) {
  constexpr std::chrono::seconds kSameQueue{1};
  if (load.queued == 0) {
    if (queue_ended_ == INT64_MAX) queue_ended_ = now_;
  } else {
    const bool is_new = queue_began_ == INT64_MAX;
    const std::int64_t ended = std::exchange(queue_ended_, INT64_MAX);
    const bool was_over = ended != INT64_MAX;
    if (is_new || (was_over && Past(now_, ended, kSameQueue))) queue_began_ = now_;
    if (is_new || (was_over && Past(now_ - late_, ended, kSameQueue))) queue_surely_began_ = now_;
  }
  Expect(!jobs_held_ || load.queued > 0, "jobs are held without a queue");
  if (jobs_held_)
    ExpectBy(queue_began_ + loosest_.held.count(), "jobs wait for too long");
  else
    Expect(load.queued == 0 || Past(now_, queue_surely_began_, tightest_.held),
           "jobs are held while captures wait");
}

/// Whatever else there is to be done, one begins after a while.
void Referee::JudgeRecoveries() {
  const auto has = [](const SimulatedSitter& sitter) {
    return sitter.seat.role == Role::kWorker && sitter.crash != 0 && sitter.task == Task::kRecovery &&
           !sitter.left_behind;
  };
  if (std::ranges::any_of(sitters, has)) recovered_ = now_;
  const auto idle = Count(Role::kWorker, [](const auto& sitter) { return sitter.idle && !sitter.killed; });
  if (idle == 0 || now_ >= stop_at_) return;
  std::int64_t left_at = INT64_MAX;
  bool may_begin = false;
  for (const auto& [key, crash] : crashes) {
    if (!WaitsForRecovery(crash) || (crash.abandoned && stop_at_ != INT64_MAX)) continue;
    left_at = std::min(left_at, crash.left_at);
    may_begin = may_begin || setup_.workers == 1 || idle > 1 || WorkersOf(crash.user()) == 0;
  }
  if (may_begin)
    ExpectBy(
        std::max({left_at, recovered_, short_at_}) + (loosest_.held + loosest_.look + loosest_.die).count(),
        "a recovery waits too long");
}

void Referee::JudgeTimes(const SimulatedCrash& crash) {
  const ManagerLimits& most = loosest_;
  const auto by = [&](std::int64_t since, ManagerLimits::Nanoseconds time, const char* what) {
    ExpectBy(since + time.count(), what, crash.key);
  };
  if (crash.held) {
    const auto arriving = most.exchange + most.site + most.safe + most.risky;
    by(crash.arrived, arriving + most.exchange + most.capture * 2 + most.look * 2, "it is held too long");
    if (fair && crash.uid != 0u) by(crash.arrived, std::chrono::seconds(1), "others hold it up");
    if (!crash.request_read) by(crash.arrived, most.exchange, "its request does not come");
    if (crash.answered) by(crash.answered_at, most.exchange, "its mark does not come");
    if (crash.captures == 0 && !crash.traced && !crash.answered && queued_ == 0)
      by(crash.arrived, arriving, "it is not decided");
    if (crash.facts_over && crash.request_read && crash.captures == 0 && !crash.traced && !crash.answered)
      by(crash.known_at, most.capture, "it is queued too long");
    Expect(!crash.lost, "its connection is lost", crash.key);
    if (stop_at_ != INT64_MAX) ExpectBy(stop_at_, "obitd stops", crash.key);
    return;
  }
  if (crash.ended && !crash.order_open) {
    Expect(!crash.exited, "it is over", crash.key);
    if (crash.killed) by(crash.killed_at, most.die, "its process was killed long ago");
  }
  // One that has worked for so long is looked at no more.
  const bool given_up = crash.seen_working && Past(now_, crash.let_go, tightest_.capture);
  if (!crash.exited && !crash.killed && !crash.abandoned && !given_up)
    by(crash.quiet_since, (most.look * 4 + most.safe) * (most.idle_looks + 1), "its process does nothing");
}

void Referee::JudgeTimes(const SimulatedSitter& sitter) {
  const ManagerLimits& most = loosest_;
  const auto by = [&](std::int64_t since, ManagerLimits::Nanoseconds time, const char* what) {
    ExpectBy(since + time.count(), what, sitter.crash);
  };
  const std::int64_t full = full_at_[sitter.seat.role];
  if (sitter.killed) {
    if (!sitter.left_behind) by(std::max(sitter.killed_at, full), most.die, "the dead keep their seats");
    return;
  }
  if (sitter.idle) return;
  Expect(!sitter.left_behind || sitter.crash != 0 || sitter.task == Task::kDoor,
         "who is left behind with nothing goes");
  if (sitter.seat.role == Role::kWorker && sitter.crash == 0)
    return by(sitter.progressed, most.stored + most.look, "a worker does not get ready");
  if (sitter.seat.role == Role::kInspector) {
    if (sitter.task == Task::kDoor) return JudgeKeeper(sitter);
    if (sitter.task == Task::kSite) return by(sitter.asked, most.site, "a site takes too long");
    if (sitter.first != 0) return by(sitter.first, most.risky, "facts take too long");
    return by(sitter.asked, most.safe, "an inspector takes too long");
  }
  if (sitter.crash != 0 && crashes[sitter.crash].held) {
    by(sitter.asked, most.capture + most.look, "a capture takes too long");
    return by(sitter.progressed, most.held + most.look * 2, "a capture stands still");
  }
  if (sitter.keeps) {
    by(sitter.kept_since, most.keep + most.die + most.look * 2, "memory is kept for too long");
    by(sitter.progressed, most.die + most.look * 2, "who does not copy keeps memory");
  }
  if (!sitter.left_behind)
    by(std::max(sitter.progressed, full), most.stored + most.look * 2, "a worker keeps its seat");
  by(sitter.progressed, most.stored + most.given_up + most.look * 2, "a worker is not given up");
}

void Referee::JudgeCrashes(Manager& manager) {
  std::uint64_t repeats = 0;
  for (const auto& count : manager.TakeRepeats()) {
    repeats += count.repeats.crashes;
    for (const SiteState& site : setup_.sites)  // that an earlier manager counted
      if (site.has_kept() && site.kept() == count.repeats.id) repeats -= site.repeats;
  }
  // At the door, before it is known that the crash is gone after which they would count.
  const std::uint64_t all = counted_repeats_ + counted_at_door_;
  Expect(repeats == all || (kept_is_gone_ && repeats < all && repeats >= counted_repeats_),
         "each repeat is counted");
  for (const auto& [key, crash] : crashes) Expect(crash.forgotten, "it does not end", key);
  const Manager::Load load = manager.load();
  Expect(load.open + load.queued == 0, "load, when no crash is open");
  Expect(stopped_ == (stop_at_ != INT64_MAX), "it has stopped");
}

void Referee::JudgeEnd(Manager& manager) {
  JudgeCrashes(manager);
  const Manager::Load load = manager.load();
  Expect(load.captures + load.left_behind == 0, "load, at the end");
  Expect(manager.NextDeadline() == INT64_MAX, "an idle manager wakes up");
}

}  // namespace obit::testing
