// What the manager's core commands, done.

#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "capture/answer.h"
#include "server/facts_record.h"
#include "server/manager_process.h"
#include "server/message_bytes.h"

namespace obit {
namespace {

using Failure = event::HandoverFailed::Cause;

constexpr std::int64_t kLeavingTime = 2'000'000;  // ns
Failure CauseOf(const Error& error) { return IsShortage(error) ? Failure::kShortage : Failure::kWorker; }

}  // namespace

// To the kernel.

void ManagerProcess::Do(const command::Answer& command) {
  const auto sent = crashes_.at(command.crash).exchange->Send(WishOf(command.detail));
  if (command.detail == Detail::kReject) return;
  if (!sent) return Feed(event::ConnectionLost{command.crash, sent.error().what});
  OnConnection(command.crash);
}

void ManagerProcess::NoteReleased(CrashKey key, OpenCrash& crash) {
  if (std::exchange(crash.released, true)) return;
  crash.head.held = MonotonicNow() - crash.accepted;
  UpdateLedger(crash);
  if (crash.connection) {
    if (crash.hold_told || crash.was_passed)
      ::shutdown(crash.connection.get(), SHUT_RDWR);  // whatever copies others still have
    Unwatch(crash.connection);
    crash.exchange.reset();
    crash.connection.Reset();
  }
  if (std::exchange(crash.hold_told, false)) Tell({.kind = ManagerWord::Kind::kDrop, .crash = key}, Fd());
  leaving_.emplace_back(key, MonotonicNow() + kLeavingTime);
}

/// Those that were released. The core is told when each has gone, mostly within kLeavingTime: then one look
/// costs less than a watch and a wakeup.
void ManagerProcess::LookAtLeaving(std::int64_t until) {
  for (std::size_t left = leaving_.size(); left > 0 && leaving_.front().second <= until; --left) {
    const CrashKey key = leaving_.front().first;
    leaving_.pop_front();
    const auto found = crashes_.find(key);
    if (found == crashes_.end()) continue;
    const Fd& pidfd = found->second.pidfd;
    if (!pidfd || HasExited(pidfd))
      OnExit(key);
    else if (poller_.Watch(pidfd))
      watched_.insert_or_assign(pidfd.get(), Watched{.what = Watched::What::kProcess, .crash = key});
    else
      leaving_.emplace_back(key, MonotonicNow() + kLeavingTime);
  }
}

/// A socket is hung up (NoteReleased). A pipe knows no such thing: its process goes with the last reader, so
/// its pump goes too.
void ManagerProcess::Do(const command::Release& command) {
  OpenCrash& crash = crashes_.at(command.crash);
  crash.pipe.Reset();
  crash.pump_end.Reset();
  if (crash.pump)
    if (Member* pump = Pump(*crash.pump); pump != nullptr && pump->crash == command.crash)
      KillMember(*pump, "its pipe had to be let go");
  NoteReleased(command.crash, crash);
}

/// Another process may have the pid of one that the kernel did not name.
void ManagerProcess::Do(const command::KillProcess& command) {
  const OpenCrash& crash = crashes_.at(command.crash);
  if (crash.named_by_kernel) obit::KillProcess(crash.pidfd);
}

// To workers.

void ManagerProcess::NoteLowered(const Lowered& lowered, OpenCrash& crash) {
  crash.head.lowered = static_cast<std::uint8_t>(lowered.what);
  crash.head.lowered_has = lowered.has;
  crash.head.lowered_needs = lowered.needs;
}

/// Before anything else happens: the crash is as it was.
void ManagerProcess::HandoverFailed(CrashKey crash, const Seat& seat, Failure cause, std::string why) {
  events_.push_front(event::HandoverFailed{crash, seat, cause, std::move(why)});
}

void ManagerProcess::Do(const command::StartCapture& command) {
  OpenCrash& crash = crashes_.at(command.crash);
  Member* worker = Find(command.seat);
  const bool is_trace = command.detail == Detail::kEvent;
  if (IsGone(worker)) return HandoverFailed(command.crash, command.seat, Failure::kDead, "it is dead");
  if (is_trace && !crash.bag)
    return HandoverFailed(command.crash, command.seat, Failure::kNoTrace, "its memory could not be had");
  crash.head.detail = static_cast<std::uint32_t>(command.detail);
  NoteLowered(command.lowered, crash);
  SocketPair trace;
  if (is_trace) {
    auto pair = MakeSocketPair(SOCK_SEQPACKET);
    if (!pair) return HandoverFailed(command.crash, command.seat, CauseOf(pair.error()), pair.error().what);
    trace = std::move(*pair);
  }
  if (crash.pipe) {
    // Its successor says that it is ready; until then no pipe comes here.
    if (IsGone(Pump(command.seat.index)))
      return HandoverFailed(command.crash, command.seat, Failure::kPump, "nobody can read the pipe");
    if (const auto made = MakePumpSocket(crash); !made)
      return HandoverFailed(command.crash, command.seat, CauseOf(made.error()), made.error().what);
  }
  if (!command.direct) DropBag(crash);
  Job job{.kind = is_trace ? Job::Kind::kTrace : Job::Kind::kCapture,
          .has_offer = crash.exchange && crash.exchange->state() == Handshake::State::kAnswer ? 1U : 0U,
          .has_bag = crash.bag ? 1U : 0U,
          .verify = command.verify ? 1U : 0U,
          .crash = command.crash,
          .head = crash.head,
          .accepted = crash.accepted,
          .core_max = command.core_max,
          .progress_ns = std::chrono::nanoseconds(setup_.config.progress_timeout).count(),
          .capture_ns = std::chrono::nanoseconds(setup_.config.capture_timeout).count(),
          .kept = command.kept,
          .keep_ns = command.keep.count(),
          .keep_refusal = static_cast<std::uint64_t>(command.keep_refusal)};
  if (job.has_offer != 0) job.offer = crash.exchange->request();
  const auto send = [&] {
    const auto bytes = BytesOf(job);
    std::vector<std::byte> message(bytes.begin(), bytes.end());
    const auto facts = std::as_bytes(std::span(crash.facts));
    if (!is_trace) message.insert(message.end(), facts.begin(), facts.end());
    return SendMessage(worker->socket, message, NumbersOf({&crash.connection, &crash.bag, &trace.second}));
  };
  auto sent = send();
  if (!sent && IsShortage(sent.error()) && crash.bag && !is_trace) {  // its core comes by the stream then
    DropBag(crash);
    job.has_bag = 0;
    sent = send();
  }
  if (!sent) {
    DropPumpSocket(crash);
    return HandoverFailed(command.crash, command.seat, CauseOf(sent.error()), sent.error().what);
  }
  worker->crash = command.crash;
  if (crash.pipe) {
    crash.pump = command.seat.index;
    GivePipe(command.crash, crash);
  }
  DropBag(crash);
  crash.trace = std::move(trace.first);
  crash.hold_told = true;
  Tell({.kind = ManagerWord::Kind::kHold, .crash = command.crash}, crash.connection);
}

/// Who had its folder before was sent SIGKILL, and does nothing more, dead or not: its lock is to be ignored.
void ManagerProcess::NoteOwnerKilled(CrashKey key, OpenCrash& crash) const {
  for (const auto& [seat, member] : members_)
    if (seat.role == Role::kWorker && member.crash == key && !member.killed.empty())
      crash.head.owner_killed = 1;
}

void ManagerProcess::Do(const command::StartRecovery& command) {
  OpenCrash& crash = crashes_.at(command.crash);
  Member* worker = Find(command.seat);
  if (IsGone(worker)) return HandoverFailed(command.crash, command.seat, Failure::kDead, "it is dead");
  NoteOwnerKilled(command.crash, crash);
  Job job{.kind = Job::Kind::kRecover, .crash = command.crash, .head = crash.head};
  std::string message(reinterpret_cast<const char*>(&job), sizeof job);
  message += std::string_view(command.reason).substr(0, kReasonMax);
  if (const auto sent = SendMessage(worker->socket, std::as_bytes(std::span(message)), {}); !sent)
    return HandoverFailed(command.crash, command.seat, CauseOf(sent.error()), sent.error().what);
  worker->crash = command.crash;
}

// To the clerk.

void ManagerProcess::GiveOrder(OpenCrash& crash, Order order, std::string_view reason, Fd mapped, Fd trace) {
  reason = reason.substr(0, kReasonMax);
  order.has_mapped = mapped ? 1 : 0;
  order.has_trace = trace ? 1 : 0;
  order.reason_bytes = static_cast<std::uint32_t>(reason.size());
  if (!crash.released) crash.head.held = MonotonicNow() - crash.accepted;
  order.head = crash.head;
  orders_.Give(order, std::exchange(crash.facts, {}), reason, std::move(mapped), std::move(crash.facts_room),
               std::move(trace));
  crash.ordered = true;
}

void ManagerProcess::Do(const command::Record& command) {
  OpenCrash& crash = crashes_.at(command.crash);
  if (crash.head.number == 0) crash.head.number = NextNumber();
  crash.head.detail = static_cast<std::uint32_t>(command.detail);
  crash.head.outcome = static_cast<std::uint32_t>(command.outcome);
  NoteLowered(command.lowered, crash);
  Fd mapped = crash.trace ? std::move(crash.mapped) : Fd();
  GiveOrder(crash, {.kind = Order::Kind::kRecord, .crash = command.crash}, command.reason, std::move(mapped),
            std::move(crash.trace));
}

void ManagerProcess::Do(const command::Commit& command) {
  OpenCrash& crash = crashes_.at(command.crash);
  GiveOrder(crash, {.kind = Order::Kind::kCommit, .crash = command.crash}, {}, std::move(crash.mapped));
}

void ManagerProcess::Do(const command::KeepWithoutCore& command) {
  OpenCrash& crash = crashes_.at(command.crash);
  NoteOwnerKilled(command.crash, crash);
  crash.head.outcome = static_cast<std::uint32_t>(CrashOutcome::kFailed);
  GiveOrder(crash, {.kind = Order::Kind::kKeepWithoutCore, .crash = command.crash}, command.reason, Fd());
}

void ManagerProcess::Do(const command::Count& command) {
  NoteChange();
  setup_.ledger->Count(command.cause == CountCause::kLoop     ? &Tallies::repeated
                       : command.cause == CountCause::kBudget ? &Tallies::over_budget
                       : command.cause == CountCause::kDisk   ? &Tallies::no_room
                                                              : &Tallies::counted);
  if (command.cause == CountCause::kLoop) return;
  OpenCrash& crash = crashes_.at(command.crash);
  ClearSlot(crash);  // it is counted: nobody is to record it besides
  orders_.AddCounted({crash.comm, ::strnlen(crash.comm, sizeof crash.comm)}, crash.head, command.cause);
}

/// Before anything is done about what was found out: a dead manager's successor knows of it.
void ManagerProcess::SaveSites() {
  manager_.TakeSites(
      [this](std::uint32_t index, const SiteState& site) { setup_.ledger->SaveSite(index, site); });
}

/// It is in the ledger (SaveSites): whoever dies from here on, the crash is counted, and not recorded
/// besides. The clerk is told once a second.
void ManagerProcess::Do(const command::NoteRepeats& command) {
  ClearSlot(crashes_.at(command.crash));
  NoteChange();
}

void ManagerProcess::Do(const command::HoldJobs& command) { orders_.Hold(command.held); }

// To the supervisor, and the rest.

void ManagerProcess::Do(const command::Kill& command) {
  if (Member* member = Find(command.seat)) KillMember(*member, "it took too long");
}

void ManagerProcess::Do(const command::LeaveBehind& command) {
  Tell({.kind = ManagerWord::Kind::kLeaveBehind,
        .role = command.seat.role,
        .index = command.seat.index,
        .generation = command.seat.generation},
       Fd());
}

void ManagerProcess::Do(const command::Forget& command) {
  const auto found = crashes_.find(command.crash);
  if (found == crashes_.end()) return;
  OpenCrash& crash = found->second;
  Unwatch(crash.connection);
  Unwatch(crash.pidfd);
  Settle(crash);
  if (command.left && crash.ledger_slot) {
    crash.ledger_slot.reset();  // for the next start
    shares_.GiveSlotBack(crash.user);
  }
  ClearSlot(crash);
  if (crash.has_share)
    shares_.Forget(crash.user);
  else
    shares_.ForgetLeft();
  orders_.Discard(std::move(crash.mapped));
  orders_.Discard(std::move(crash.trace));
  if (!leaving_.empty() && leaving_.back().first == command.crash)
    leaving_.pop_back();  // nobody waits for it
  for (auto& [seat, member] : members_)
    if (seat.role != Role::kInspector && member.crash == command.crash) member.crash = 0;
  crashes_.erase(found);
  if (paused_) ResumeAccept();
}

void ManagerProcess::Do(const command::Say& command) {
  LogLine(static_cast<Severity>(command.severity), command.text);
}

void ManagerProcess::Do(const command::Stopped&) {
  stopped_ = true;
  (void)TellLoad();
  orders_.Stop();
  if (!clerk_) Tell({.kind = ManagerWord::Kind::kStopped}, Fd());
}

}  // namespace obit
