// In what crashes may end, for the referee.

#include <algorithm>

#include "crash/loop_reason.h"
#include "manager/test_referee.h"

namespace obit::testing {

void Referee::End(SimulatedCrash& crash, bool by_order, const char* command) {
  if (crash.ended) Wrong(fmt::format("{}: crash {} has ended", command, crash.key));
  Expect(!crash.held, "what has ended is released", crash.key);
  crash.ended = true;
  crash.order_open = by_order;
}

void Referee::On(const command::Record& record) {
  SimulatedCrash& crash = Open(record.crash, "Record");
  left_queue_ = true;
  if (!crash.answered && crash.captures == 0 && !crash.traced) ++left_;
  Expect(crash.captures == 0 && !crash.repeat && !crash.abandoned, "it has no core", crash.key);
  if (record.outcome == CrashOutcome::kEvent) {
    ExpectInspected(crash, false);
    const bool by_site = IsLoopReason(record.reason);
    const bool no_room = crash.had_no_room || (!crash.answered && !HasRoomForMinimal(crash));
    if (record.lowered)
      Expect(record.lowered.what == Shortage::kDisk && no_room, "the disk has no room for its core",
             crash.key);
    else
      Expect(by_site ? crash.site.has_value() : Decided(crash, Detail::kEvent), "only an event", crash.key);
    if (crash.worker && Find(*crash.worker)->killed &&
        Past(now_, Find(*crash.worker)->killed_at, tightest_.die))
      LoseWorker(*Find(*crash.worker));
    Expect(crash.traced || !crash.has_offer || crash.mark == CoredumpMark::kAccepted, "it was answered",
           crash.key);
    Expect(!crash.worker, "nobody has it", crash.key);
    Expect(!record.reason.empty(), "it says why", crash.key);
    return End(crash, true, "Record");
  }
  const auto says = [&](const char* text) { return record.reason.starts_with(text); };
  Expect(record.outcome == CrashOutcome::kFailed, "it has failed", crash.key);
  Expect(!crash.traced, "a trace costs no event its outcome", crash.key);
  std::int64_t worked = 0;  // as the manager can see
  for (const SimulatedSitter& sitter : sitters)
    if (sitter.seat.role == Role::kWorker && sitter.crash != 0 && !sitter.killed)
      worked = std::max(worked, sitter.worked);
  if (says("every worker"))
    Expect(crash.request_read && Past(now_, std::max({Moved(), worked, crash.arrived}), tightest_.queue),
           "it had its turn", crash.key);
  else if (says("it waited"))
    Expect(Past(now_, crash.arrived, tightest_.capture), "it waited long", crash.key);
  else if (says("the exchange"))
    Expect(crash.answered ? !crash.mark && Past(now_, crash.answered_at, tightest_.exchange)
                          : !crash.request_read && Past(now_, crash.arrived, tightest_.exchange),
           "the kernel had time", crash.key);
  else if (says("the kernel refused"))
    Expect(crash.mark && crash.mark != CoredumpMark::kAccepted, "the kernel did", crash.key);
  else if (says("no worker"))
    Expect(crash.was_short ? crash.handovers >= 3 || Past(now_, crash.arrived, tightest_.queue)
                           : crash.handovers == 3,
           "it was tried", crash.key);
  else if (says("obitd was stopping"))
    Expect(StopOver(), "it stops", crash.key);
  else
    Expect(crash.lost, "its connection is lost", crash.key);
  End(crash, true, "Record");
}

void Referee::On(const command::Commit& commit) {
  SimulatedCrash& crash = Open(commit.crash, "Commit");
  Expect(crash.stored == true, "it was stored", crash.key);
  End(crash, true, "Commit");
}

void Referee::On(const command::KeepWithoutCore& keep) {
  SimulatedCrash& crash = Open(keep.crash, "KeepWithoutCore");
  if (crash.worker && Find(*crash.worker)->killed &&
      Past(now_, Find(*crash.worker)->killed_at, tightest_.die))
    LoseWorker(*Find(*crash.worker));
  const bool is_for_next_start = now_ - late_ >= stop_at_ || (stop_at_ != INT64_MAX && crash.abandoned);
  const bool vain = (crash.was_short ? crash.handovers >= 3 : crash.handovers == 3) && !is_for_next_start;
  Expect(!crash.worker && (crash.stored == false || (crash.recoveries > 0 && crash.worker_lost) || vain),
         "its core comes to nothing", crash.key);
  Expect(!keep.reason.empty(), "it says why", crash.key);
  End(crash, true, "KeepWithoutCore");
}

void Referee::On(const command::NoteRepeats& note) {
  SimulatedCrash* crash = Find(site_found_);
  if (crash == nullptr || crash->repeat || crash->ended || note.crash != site_found_)
    return Wrong("NoteRepeats without a repeat");
  crash->repeat = true;
}

void Referee::On(const command::Count& count) {
  SimulatedCrash& crash = Open(count.crash, "Count");
  Expect(crash.captures == 0 && (count.cause == CountCause::kLoop) == crash.repeat, "it is only counted",
         crash.key);
  if (crash.repeat)
    ++counted_repeats_;
  else
    Expect(count.cause == CountCause::kBudget || Decided(crash, Detail::kReject) ||
               (count.cause == CountCause::kDisk && !room_.has_records),
           "it is rejected", crash.key);
  if (!crash.repeat && crash.site) kept_is_gone_ = true;  // others may have been counted after it
  if (!crash.repeat && !crash.lost && crash.has_offer)
    Expect(crash.answered == Detail::kReject, "it was answered", crash.key);
  End(crash, false, "Count");
}

void Referee::On(const command::Forget& forget) {
  SimulatedCrash& crash = Open(forget.crash, "Forget");
  if (crash.worker && Find(*crash.worker)->killed &&
      Past(now_, Find(*crash.worker)->killed_at, tightest_.die))
    LoseWorker(*Find(*crash.worker));
  Expect(!crash.held && !crash.order_open && !crash.worker, "it is over", crash.key);
  const bool stops = stop_at_ != INT64_MAX && crash.abandoned;
  const bool left = (StopOver() || stops) && (crash.abandoned || crash.captures + crash.handovers > 0);
  Expect(crash.ended != forget.left && (crash.ended || left), "it has ended, or is left", crash.key);
  Expect(crash.exited || crash.answered == Detail::kReject ||
             (crash.killed && Past(now_, crash.killed_at, tightest_.die)) ||
             (crash.seen_working && (StopOver() || Past(now_, crash.let_go, tightest_.capture))),
         "its process is gone", crash.key);
  crash.forgotten = true;
}

void Referee::On(const command::HoldJobs& hold) {
  Expect(hold.held != jobs_held_, "jobs are held, or let go");
  jobs_held_ = hold.held;
}

void Referee::On(const command::Stopped&) {
  Expect(stop_at_ != INT64_MAX && !stopped_, "it stops once, when it has to");
  Expect(std::ranges::all_of(crashes, [](const auto& crash) { return crash.second.forgotten; }),
         "nothing is open");
  Expect(StopOver() || std::ranges::none_of(sitters,
                                            [](const SimulatedSitter& sitter) {
                                              return sitter.task == Task::kDoor && !sitter.killed;
                                            }),
         "nobody is at the door");
  Expect(StopOver() || !door_unseen_, "what was counted at the door is known");
  stopped_ = true;
}

}  // namespace obit::testing
