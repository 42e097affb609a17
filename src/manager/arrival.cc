#include <utility>

#include "crash/loop_reason.h"
#include "kernel/coredump_socket.h"
#include "manager/core.h"
#include "policy/decide.h"

namespace obit {

using Stage = OpenCrash::Stage;

void Manager::Core::On(const event::Arrived& arrived) {
  OpenCrash opened{.key = arrived.crash,
                   .id = arrived.id,
                   .time = arrived.time,
                   .transport = arrived.transport,
                   .peer = arrived.peer,
                   .share = arrived.user,
                   .core_limit = arrived.core_limit,
                   .arrived = state_.now,
                   .request_read = arrived.transport == Transport::kPipe};
  const auto [crash, added] = state_.crashes.emplace(arrived.crash, std::move(opened));
  if (!added) return;
  if (state_.stop_over) return Fail(crash->second, "obitd was stopping");
  inspection_.Begin(crash->second);
}

void Manager::Core::On(const event::RequestRead& read) {
  OpenCrash* crash = state_.Find(read.crash);
  if (crash == nullptr || crash->stage != Stage::kArriving || crash->request_read) return;
  crash->request_read = true;
  crash->has_offer = read.offer.has_value();
  state_.Touch(*crash);
}

/// What was found out of it may have told before (Inspection). Others may have come first meanwhile.
void Manager::Core::TakeBudget(OpenCrash& crash) {
  if (crash.decision.detail == Detail::kReject) return;
  if (crash.whose.user == 0) crash.whose = state_.budgets.AccountsOf({.share = crash.share});
  const auto room = state_.budgets.RoomFor(crash.whose, state_.now, state_.setup.config);
  if (room == Budgets::Room::kCount) {
    crash.over_budget = true;
    crash.decision.detail = Detail::kReject;
    return;
  }
  if (room == Budgets::Room::kEvent) Lower(crash.decision, Detail::kEvent, kOverBudgetReason);
  if (crash.decision.detail < Detail::kEvent) crash.promised = StoredEstimate(crash.resident);
  state_.budgets.Take(crash.whose, crash.promised);
}

/// All that can be known is.
void Manager::Core::DecideAndAnswer(OpenCrash& crash) {
  if (crash.only_counted()) {
    crash.decision.detail = Detail::kReject;
  } else {
    CrashRecord record;
    record.process.core_limit = crash.core_limit;
    crash.decision = Decide(record, state_.ConfigOf(crash));
    if (!crash.lowers.empty()) Lower(crash.decision, Detail::kEvent, crash.lowers);
    CountIfThereIsNoRoom(crash);
    TakeBudget(crash);
  }
  if (crash.decision.detail == Detail::kFull || crash.decision.detail == Detail::kMinimal)
    return captures_.Enqueue(crash);
  GoOnWithoutCore(crash);
}

void Manager::Core::CountIfThereIsNoRoom(OpenCrash& crash) {
  constexpr std::int64_t kLasts = 10'000'000'000;  // ns: a clerk that hangs must not keep records away
  const bool is_news = state_.now - state_.room_told < kLasts;
  if (crash.decision.detail == Detail::kReject || state_.disk.has_records() || !is_news) return;
  crash.no_room = true;
  crash.decision.detail = Detail::kReject;
}

/// It is to have no core. An event may have its trace before its answer.
void Manager::Core::GoOnWithoutCore(OpenCrash& crash) {
  if (crash.decision.detail == Detail::kEvent && captures_.StartTrace(crash)) return;
  AnswerWithoutCore(crash);
}

void Manager::Core::AnswerWithoutCore(OpenCrash& crash) {
  if (!crash.has_offer) return EndAsDecided(crash);  // "@" and the pipe know no answer: closing ends the dump
  state_.Do(command::Answer{crash.key, crash.decision.detail});
  // A rejected dump ends as if the server had gone: the kernel waits for nothing more (vfs_coredump() of
  // fs/coredump.c, Linux 6.17), so nothing can keep the process. In a loop, waiting neither for its mark nor
  // for its end saves two wakeups a crash.
  if (crash.decision.detail == Detail::kReject) {
    crash.given_up = true;
    return EndAsDecided(crash);
  }
  crash.stage = Stage::kAnswering;
  crash.since = state_.now;
  state_.Touch(crash);
}

/// Only after its mark has the kernel noted that user space dumps: a release before would take WCOREDUMP from
/// the parent.
void Manager::Core::On(const event::MarkRead& read) {
  OpenCrash* crash = state_.Find(read.crash);
  if (crash == nullptr || crash->stage != Stage::kAnswering) return;
  if (read.mark != CoredumpMark::kAccepted)
    return Fail(*crash, fmt::format("the kernel refused the answer: {}", Describe(read.mark)));
  EndAsDecided(*crash);
}

void Manager::Core::EndAsDecided(OpenCrash& crash) {
  if (crash.decision.detail == Detail::kReject)
    endings_.Count(crash);
  else
    endings_.KeepEvent(crash);
}

void Manager::Core::On(const event::ConnectionLost& lost) {
  OpenCrash* crash = state_.Find(lost.crash);
  if (crash == nullptr) return;
  if (crash->stage == Stage::kArriving || crash->stage == Stage::kAnswering || crash->stage == Stage::kQueued)
    Fail(*crash, lost.why);
}

/// Before a worker had it. One that ends before it is decided takes its budget all the same: else whoever
/// kills his crashing processes soon has records without end.
void Manager::Core::Fail(OpenCrash& crash, std::string reason) {
  inspection_.End(crash);
  const bool is_decided = crash.stage != Stage::kArriving || crash.only_counted();
  if (!is_decided && !state_.stop_over) TakeBudget(crash);
  captures_.Remove(crash);
  endings_.Fail(crash, std::move(reason));
}

}  // namespace obit
