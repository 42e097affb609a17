// What the manager's core wants to know of a process, asked of inspectors. One that does not take a question
// is dead or will be killed: the core's deadlines are for that.

#include <span>
#include <string>

#include <sys/socket.h>

#include "base/limits.h"
#include "base/unix_socket.h"
#include "server/manager_process.h"
#include "server/message_bytes.h"

namespace obit {

Question ManagerProcess::QuestionOf(CrashKey key, Question::Kind kind) const {
  const OpenCrash& crash = crashes_.at(key);
  return {.crash = key,
          .kind = kind,
          .pid = crash.head.pid,
          .signal = crash.peer.signal.value_or(0),
          .code = crash.peer.code.value_or(0),
          .cgroup = crash.peer.cgroup,
          .uid = crash.peer.uid.value_or(0),
          .has_code = crash.peer.code ? std::uint8_t{1} : std::uint8_t{0},
          .has_uid = crash.peer.uid ? std::uint8_t{1} : std::uint8_t{0},
          .one_identity = crash.peer.one_identity ? std::uint8_t{1} : std::uint8_t{0},
          .root_only = crash.peer.dump_mode != DumpMode::kUser ? std::uint8_t{1} : std::uint8_t{0}};
}

/// As late as they are needed: whoever is asked for a site has those in force. False: not now.
bool ManagerProcess::TellRules(Member& member) {
  if (setup_.config.rules.empty() || member.rules == rules_) return true;
  const Question question{.kind = Question::Kind::kRules, .rules = rules_};
  std::string bytes(reinterpret_cast<const char*>(&question), sizeof question);
  bytes += RulesText(setup_.config.rules);
  const auto sent = SendMessage(member.socket, std::as_bytes(std::span(bytes)), {});
  if (sent) member.rules = rules_;
  if (sent || IsShortage(sent.error())) return sent.has_value();
  FailMember(member, sent.error());
  return true;
}

/// False: it cannot be sent now.
bool ManagerProcess::Ask(const Seat& seat, const Question& question, const std::vector<int>& fds) {
  Member* member = Find(seat);
  if (member == nullptr) return true;  // its SeatLost is on the way
  if (question.kind == Question::Kind::kSite && !TellRules(*member)) return false;
  member->crash = question.crash;
  member->only_safe = question.only_safe != 0;
  const auto sent = SendMessage(member->socket, BytesOf(question), fds);
  if (!sent && IsShortage(sent.error())) return false;
  if (!sent) FailMember(*member, sent.error());
  return true;
}

void ManagerProcess::Do(const command::AskSite& command) {
  // By its pid, which is cheaper; OnFindings() asks the pidfd.
  if (!crashes_.at(command.crash).pidfd ||
      !Ask(command.seat, QuestionOf(command.crash, Question::Kind::kSite), {}))
    Feed(event::SiteFound{.crash = command.crash, .seat = command.seat});
}

void ManagerProcess::Do(const command::AskFacts& command) {
  OpenCrash& crash = crashes_.at(command.crash);
  if (crash.head.number == 0) crash.head.number = NextNumber();
  Question question = QuestionOf(command.crash, Question::Kind::kFacts);
  question.only_safe = command.only_safe ? 1 : 0;
  DropBag(crash);
  orders_.Discard(std::move(crash.mapped));
  SocketPair bag, mapped;
  // An event without a trace needs no bag: nobody would empty it but the clerk. Should the facts say that
  // there is to be a core after all, its memory comes by the stream.
  const Detail most = crash.wants_core ? Detail::kFull : command.if_unwanted;
  const bool may_have_core = command.for_core && most < Detail::kEvent;
  const bool may_have_trace = command.for_trace && most <= Detail::kEvent;
  if (!command.only_safe && (may_have_core || may_have_trace) && crash.pidfd) {
    if (budget_.HasRoomForBag(bags_ + orders_.not_closed()))
      if (auto pair = MakeSocketPair(SOCK_SEQPACKET)) bag = std::move(*pair);
    if (bag.first && wants_mapped_ && budget_.HasRoomForMapped(crashes_.size()))
      if (auto pair = MakeSocketPair(SOCK_SEQPACKET)) mapped = std::move(*pair);
  }
  question.has_bag = bag.first ? 1 : 0;
  question.wants_memory = setup_.config.direct ? 1 : 0;
  question.wants_mapped = mapped.first ? 1 : 0;
  crash.bag = std::move(bag.second);
  if (crash.bag) ++bags_;
  crash.mapped = std::move(mapped.second);
  if (!crash.pidfd)
    return Feed(event::FactsFound{.crash = command.crash, .seat = command.seat, .last = true});
  if (Ask(command.seat, question, NumbersOf({&crash.pidfd, &bag.first, &mapped.first}))) return;
  question.has_bag = question.wants_mapped = 0;
  if (crash.bag) --bags_;  // nobody has put anything into it
  crash.bag.Reset();
  crash.mapped.Reset();
  if (bag.first && Ask(command.seat, question, NumbersOf({&crash.pidfd}))) return;
  Feed(event::FactsFound{.crash = command.crash, .seat = command.seat, .last = true});
}

void ManagerProcess::Do(const command::AskActivity& command) {
  const OpenCrash& crash = crashes_.at(command.crash);
  if (!crash.pidfd ||
      !Ask(command.seat, QuestionOf(command.crash, Question::Kind::kActivity), NumbersOf({&crash.pidfd})))
    Feed(event::ActivityFound{.crash = command.crash, .seat = command.seat});
}

}  // namespace obit
