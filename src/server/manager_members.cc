// The manager and those who sit in its seats: who comes, who goes, and what they say.

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "policy/rules.h"
#include "server/facts_record.h"
#include "server/manager_process.h"
#include "server/message_bytes.h"
#include "server/role_process.h"

namespace obit {
namespace {

/// More than a socket holds. Whoever has a copy of it may go on to talk.
constexpr int kLastWordsMax = 4096;

}  // namespace

ManagerProcess::Member* ManagerProcess::Find(const Seat& seat) {
  const auto found = members_.find(seat);
  return found == members_.end() ? nullptr : &found->second;
}

/// The pump that serves the worker of this index: the last one to come.
ManagerProcess::Member* ManagerProcess::Pump(std::uint32_t index) {
  Member* newest = nullptr;
  for (auto& [seat, member] : members_)
    if (seat.role == Role::kPump && seat.index == index) newest = &member;  // they are in order
  return newest;
}

void ManagerProcess::OnFilled(const SupervisorNews& news, Fd socket, Fd pidfd) {
  const Seat seat{news.role, news.index, news.generation};
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  Member& member = members_[seat];
  member = {.seat = seat, .socket = std::move(socket), .pidfd = std::move(pidfd), .counter = news.counter};
  watched_.insert_or_assign(member.socket.get(), Watched{.what = Watched::What::kMember, .seat = seat});
  if (!poller_.Watch(member.socket)) FailMember(member, {ENOSPC, "it cannot be watched"});
  if (seat.generation > 1) ++replaced_, NoteChange();
  if (seat.role == Role::kClerk) {
    clerk_ = seat;
    orders_.Connect(&member.socket);
    NoteChange();
  }
  if (seat.role == Role::kInspector || seat.role == Role::kPump)
    Feed(event::SeatReady{seat});             // a worker says itself when it is
  if (seat.role == Role::kPump) GivePipes();  // those of workers whose pump died before it had them
}

void ManagerProcess::OnVacated(const SupervisorNews& news) {
  const Seat seat{news.role, news.index, news.generation};
  if (Find(seat) == nullptr) return;
  Find(seat)->is_dead = true;
  OnMember(seat, kLastWordsMax);  // what it said before it died
  Member* member = Find(seat);
  if (member == nullptr) return;
  std::string why = member->killed.empty() ? DescribeEnd(news.status) : "was killed: " + member->killed;
  // The supervisor takes SIGKILL of all but the clerk for the manager's.
  if (seat.role != Role::kClerk && member->killed.empty() && !stopping_ && news.status == SIGKILL)
    Log(Severity::kError, "the {} {} {}", NameOf(seat.role), seat.index, DescribeEnd(news.status));
  watched_.erase(member->socket.get());
  if (clerk_ == seat) {
    clerk_.reset();
    orders_.Connect(nullptr);
  }
  members_.erase(seat);
  if (seat.role == Role::kInspector) OnDoorLeft(seat);
  if (seat.role == Role::kWorker && seat.index >= setup_.config.slots)
    if (Member* pump = Pump(seat.index)) KillMember(*pump, "its worker is not needed any more");
  if (seat.role != Role::kClerk) Feed(event::SeatLost{seat, std::move(why)});
}

/// It gets nothing any more; its SeatLost is on the way.
bool ManagerProcess::IsGone(const Member* member) {
  return member == nullptr || !member->killed.empty() || HasExited(member->pidfd);
}

void ManagerProcess::KillMember(Member& member, std::string why) {
  if (member.killed.empty()) member.killed = std::move(why);
  KillProcess(member.pidfd);
  if (keeper_ == member.seat) OnDoorLeft(member.seat);  // dead or not
}

/// The same of one that cannot be talked to. If it is about to be dead, its death says why.
void ManagerProcess::FailMember(Member& member, const Error& error) {
  if (error.code == EPIPE || error.code == ECONNRESET) return KillProcess(member.pidfd);
  Log(Severity::kError, "the {} {} is killed: {}", NameOf(member.seat.role), member.seat.index, error.what);
  KillMember(member, error.what);
}

/// What it has said, `most` messages of it: who talks all the time does not keep the loop from the others.
/// Its end is for the supervisor to tell.
void ManagerProcess::OnMember(const Seat& seat, int most) {
  int tries = 100;
  for (; most > 0; --most) {
    Member* member = Find(seat);
    if (member == nullptr) return;
    const auto message = ReceiveMessage(member->socket, kMessageMax, MSG_DONTWAIT);
    if (!message && message.error().code == ECONNRESET) continue;  // it died, and what it had said comes next
    if (!message || (message->bytes.empty() && message->fds.empty())) {
      if (!message && message.error().code == EAGAIN) return;
      // It waits there, and the loop comes back for it; but not to the dead.
      if (!message && IsShortage(message.error())) {
        if (member->is_dead && --tries > 0) continue;
        return;
      }
      member->has_ended = true;
      return poller_.Forget(member->socket.get());
    }
    switch (seat.role) {
      case Role::kInspector:
        OnFindings(seat, *message);
        break;
      case Role::kWorker:
        OnReport(*member, *message);
        break;
      case Role::kClerk:
        OnClerkWord(*message);
        break;
      default:
        break;
    }
  }
}

/// For the ledger.
void ManagerProcess::NoteName(const Findings& findings, OpenCrash& crash) {
  if (findings.comm[0] != '\0') std::memcpy(crash.comm, findings.comm, sizeof crash.comm);
}

void ManagerProcess::TakeRule(const Findings& findings, OpenCrash& crash, event::SiteFound& site) const {
  const std::vector<Rule>& rules = setup_.config.rules;
  if (rules.empty()) return;
  site.other_rules = findings.rules != rules_;
  if (site.other_rules || findings.rule == 0 || findings.rule > rules.size()) return;
  site.rule = findings.rule;
  const Rule& rule = rules[site.rule - 1];
  SetText(crash.head.rule, rule.NameForPeople());
  SetHandling(HandlingBy(rule), crash.head);
}

void ManagerProcess::OnFindings(const Seat& seat, const Message& message) {
  const auto findings = HeadOf<Findings>(message);
  const Member* member = Find(seat);
  if (!findings || member == nullptr || findings->crash != member->crash) return;  // nobody asked for that
  const auto found = crashes_.find(findings->crash);
  OpenCrash* crash = found == crashes_.end() ? nullptr : &found->second;  // it may have ended meanwhile
  switch (findings->kind) {
    case Findings::Kind::kSite: {
      event::SiteFound site{.crash = findings->crash,
                            .seat = seat,
                            .boottime = BoottimeNow(),
                            .resident = findings->resident,
                            .memory = MemoryIn(*findings)};
      if (passage_) TellDoor(std::nullopt);
      // Only then was it that process all the while.
      if (crash == nullptr || !crash->pidfd || !StillNamed(crash->pidfd)) return Feed(std::move(site));
      TakeRule(*findings, *crash, site);
      if (findings->known != 0 && !site.other_rules) {
        NoteName(*findings, *crash);
        crash->wants_core = findings->wants_core != 0;
        site.glance = findings->glance;
        site.site = CrashSite{.uid = findings->uid,
                              .privileged = findings->privileged != 0,
                              .wants_core = findings->wants_core != 0,
                              .service = TextIn(findings->service),
                              .service_of_system = findings->service_of_system != 0,
                              .container = findings->container,
                              .signal = findings->signal,
                              .program = findings->program,
                              .module_inode = findings->module_inode,
                              .offset = findings->offset,
                              .comm = TextIn(findings->comm),
                              .callers = findings->callers};
      }
      return Feed(std::move(site));
    }
    case Findings::Kind::kSafe:
    case Findings::Kind::kAll: {
      event::FactsFound facts{.crash = findings->crash,
                              .seat = seat,
                              .last = findings->kind == Findings::Kind::kAll || member->only_safe,
                              .resident = findings->resident,
                              .memory = MemoryIn(*findings)};
      if (crash != nullptr && !crash->ordered) {
        NoteName(*findings, *crash);
        const std::string_view text = TextBehind<Findings>(message).substr(0, kFactsMax);
        if (crash->facts_room.Resize(text.size())) crash->facts = text;
        const bool privileged = crash->peer.dump_mode != DumpMode::kUser || findings->privileged != 0;
        crash->head.privileged = privileged ? 1 : 0;
        UpdateLedger(*crash);
      }
      if (findings->has_core_limit != 0) facts.core_limit = findings->core_limit;
      return Feed(facts);
    }
    case Findings::Kind::kDoorLeft:
      OnDoorLeft(seat);
      return Feed(event::DoorLeft{seat});
    case Findings::Kind::kActivity:
      return Feed(event::ActivityFound{.crash = findings->crash,
                                       .seat = seat,
                                       .known = findings->known != 0,
                                       .cpu_ticks = findings->cpu_ticks,
                                       .runs = findings->runs != 0});
  }
}

void ManagerProcess::OnReport(Member& member, const Message& message) {
  const auto report = HeadOf<JobReport>(message);
  if (!report) return;
  const Seat seat = member.seat;
  if (report->kind == JobReport::Kind::kReady && !member.is_dead) Feed(event::SeatReady{seat});
  const CrashKey key = member.crash;  // what it was given, whatever it says
  const auto found = crashes_.find(key);
  if (found == crashes_.end()) return;
  switch (report->kind) {
    case JobReport::Kind::kReady:
      return;
    case JobReport::Kind::kReleased:
    case JobReport::Kind::kKept:
      NoteReleased(key, found->second);
      return Feed(event::CaptureReleased{key, seat, report->kind == JobReport::Kind::kKept});
    case JobReport::Kind::kCopied:
      return Feed(event::MemoryCopied{key, seat});
    case JobReport::Kind::kStored:
    case JobReport::Kind::kFailed:
      member.crash = 0;
      NoteReleased(key, found->second);
      return Feed(
          event::CaptureEnded{.crash = key,
                              .seat = seat,
                              .stored = report->kind == JobReport::Kind::kStored,
                              .error = std::string(TextBehind<JobReport>(message).substr(0, kReasonMax)),
                              .core_bytes = report->core_bytes});
  }
}

void ManagerProcess::OnClerkWord(const Message& message) {
  const auto word = HeadOf<ClerkWord>(message);
  if (!word) return;
  switch (word->kind) {
    case ClerkWord::Kind::kNumbers:
      // What is left of the last ones might be lower than others'.
      numbers_ = {word->first, word->first + word->count};
      return;
    case ClerkWord::Kind::kAbandoned: {
      const bool open = std::ranges::any_of(crashes_, [&](const auto& one) {
        return std::memcmp(one.second.head.id, word->id, sizeof word->id) == 0;
      });
      if (open) return;  // another clerk told it before
      const CrashKey key = next_crash_++;
      OpenCrash& crash = crashes_[key];
      std::memcpy(crash.head.id, word->id, sizeof crash.head.id);
      crash.released = crash.settled = true;  // nothing of it is open here, and it takes nobody's share
      crash.has_share = false;
      shares_.AddLeft();
      return Feed(
          event::Abandoned{.crash = key,
                           .id = TextIn(word->id),
                           .reason = std::string(TextBehind<ClerkWord>(message).substr(0, kReasonMax))});
    }
    case ClerkWord::Kind::kReady:
      if (!listening_ && !stopping_) Listen();
      return;
    case ClerkWord::Kind::kDone:
      orders_.OnDone(word->crash);
      return Feed(event::OrderDone{word->crash});
    case ClerkWord::Kind::kDiscarded:
      return orders_.OnDiscarded();
    case ClerkWord::Kind::kKeptIsGone:
      return Feed(event::KeptIsGone{TextIn(word->id)});
    case ClerkWord::Kind::kPattern:
      return Tell({.kind = ManagerWord::Kind::kPattern}, Fd(),
                  std::string(word->count != 0 ? "" : TextBehind<ClerkWord>(message).substr(0, kReasonMax)));
    case ClerkWord::Kind::kRoom:
      room_told_ = MonotonicNow();
      return Feed(
          event::RoomTold{{.cores = word->first, .free = word->count, .has_records = word->kept != 0}});
    case ClerkWord::Kind::kWantsMapped:
      wants_mapped_ = word->count != 0;
      return;
    case ClerkWord::Kind::kWantsTraces:
      return Feed(event::TracesWanted{static_cast<std::size_t>(word->count)});
    case ClerkWord::Kind::kStopped:
      if (stopped_) Tell({.kind = ManagerWord::Kind::kStopped}, Fd());
      return;
  }
}

}  // namespace obit
