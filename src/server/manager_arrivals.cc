// How crashes come to the manager: who connects, and what the kernel asks.

#include <bit>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "kernel/pipe_handover.h"
#include "server/facts_record.h"
#include "server/manager_process.h"

namespace obit {
namespace {

/// Until it is tried again whether there is room, ns.
constexpr std::int64_t kPause = 200'000'000;

/// What waits at a listener: a connection, nothing (an empty descriptor), or why it cannot be had.
Result<Fd> AcceptOne(const Fd& listener) {
  for (;;) {
    Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection || errno == EAGAIN) return connection;
    if (errno != EINTR && errno != ECONNABORTED) return Fail(errno, "accept a connection");
  }
}

bool MayBeHelper(const Fd& connection) {
  const auto peer = PeerCredentials(connection);
  return peer && (peer->uid == 0 || peer->uid == ::geteuid());
}

}  // namespace

void ManagerProcess::Refuse(Fd connection, Error why) {
  if (connection) {
    const int fd = connection.get();
    const Fd& watched = connection;
    if (poller_.Watch(watched) && visitors_.Receive(connection, why, MonotonicNow())) {
      watched_.insert_or_assign(fd, Watched{.what = Watched::What::kVisitor});
      return;
    }
  }
  ++refused_;
  NoteChange();
  if (!std::has_single_bit(refused_)) return;  // 1, 2, 4, 8, ...: a flood must not fill the log
  Log(Severity::kNotice, "closed a connection that is not of the kernel ({} so far): {}", refused_, why.what);
}

void ManagerProcess::Listen() {
  listening_ = true;
  setup_.ledger->LoseUnlisted();
  RecordHeld();
  watched_.emplace(setup_.listeners.coredump.get(), Watched{.what = Watched::What::kCoredump});
  if (setup_.listeners.pipe)
    watched_.emplace(setup_.listeners.pipe.get(), Watched{.what = Watched::What::kHelper});
  ResumeAccept();
  Tell({.kind = ManagerWord::Kind::kListening}, Fd());
}

/// Crashes wait in the backlog until something is free again. It may be free without a word, as what others
/// on this machine have open is: so it is tried again.
void ManagerProcess::PauseAccept(std::string_view why) {
  if (std::exchange(paused_, true) || stopping_) return;
  resume_at_ = MonotonicNow() + kPause;
  if (std::has_single_bit(++pauses_))  // as in Refuse
    Log(Severity::kWarning, "{} crashes are open: others wait until some of them are done: {}",
        crashes_.size(), why);
  poller_.Forget(setup_.listeners.coredump.get());
  if (setup_.listeners.pipe) poller_.Forget(setup_.listeners.pipe.get());
  if (keeper_) Do(command::LeaveDoor{*keeper_});
}

void ManagerProcess::ResumeAccept() {
  paused_ = false;
  resume_at_ = INT64_MAX;
  if (!listening_ || stopping_) return;
  if ((passage_ && !poller_.Watch(passage_)) || (!keeper_ && !poller_.Watch(setup_.listeners.coredump)) ||
      (setup_.listeners.pipe && !poller_.Watch(setup_.listeners.pipe)))
    PauseAccept("the sockets cannot be watched");
}

/// When obitd stops, what waits is not for later: it is let go, and counted, by the descriptor that is kept
/// for that. False: not even so.
bool ManagerProcess::LoseOne(const Fd& listener) {
  spare_.Reset();
  {
    const auto connection = AcceptOne(listener);
    if (!connection)
      Log(Severity::kError, "crashes that wait when obitd stops may be lost: {}", connection.error().what);
    if (!connection || !*connection) return false;
    const bool is_helper = listener.get() == setup_.listeners.pipe.get();
    if (is_helper) AnswerHandOver(*connection);  // else it comes again
    if (!is_helper || MayBeHelper(*connection)) Lose({}, "no descriptor was free when obitd stopped");
  }
  spare_ = Fd(::fcntl(setup_.supervisor.get(), F_DUPFD_CLOEXEC, 3));
  return true;
}

/// The next one that waits; nothing: there is none, or it has to wait.
Fd ManagerProcess::AcceptNext(const Fd& listener) {
  for (;;) {
    if (!HasRoom() && !stopping_) return PauseAccept("no more descriptors"), Fd();
    auto connection = AcceptOne(listener);
    if (connection) return std::move(*connection);
    if (!IsShortage(connection.error())) return Fd();
    if (!stopping_ || !LoseOne(listener)) return PauseAccept(connection.error().what), Fd();
  }
}

void ManagerProcess::AcceptCoredumps(int most) {
  while (most-- > 0) {
    Fd connection = AcceptNext(setup_.listeners.coredump);
    if (!connection || !TakeConnection(std::move(connection), /*is_on_board=*/false)) return;
  }
}

/// False: no other is to be accepted now.
/// One that stands on the door's board is in the ledger by its pid from the first: who finds it in both knows
/// that it is one (Ledger::BeginGeneration).
bool ManagerProcess::TakeConnection(Fd connection, bool is_on_board) {
  BegunCrash begun;
  if (!is_on_board) begun = Begin(Transport::kSocketRequest);
  auto peer = setup_.identifier.connected(connection);
  if (is_on_board && peer) begun = Begin(Transport::kSocketRequest, peer->info.pid);
  if (!peer || !HasShare(*peer)) {
    const bool is_short = !peer && IsShortage(peer.error());
    if (peer)
      Lose(*peer, kTooMany);
    else if (is_short)
      Lose({}, peer.error().what);
    else
      Refuse(std::move(connection), peer.error());
    if (begun.slot) setup_.ledger->Clear(*begun.slot);
    if (is_short && !stopping_) return PauseAccept(peer.error().what), false;
    return true;
  }
  const CrashKey key = AddCrash(begun, std::move(*peer));
  OpenCrash& crash = crashes_.at(key);
  crash.connection = std::move(connection);
  crash.exchange.emplace(crash.connection);
  Arrive(key, Transport::kSocketRequest, UINT64_MAX);
  OnConnection(key);  // the kernel sends its request at once
  return true;
}

void ManagerProcess::AcceptHelpers(int most) {
  while (most-- > 0 && (!paused_ || stopping_)) {
    Fd helper = AcceptNext(setup_.listeners.pipe);
    if (!helper) return;
    if (MayBeHelper(helper))
      OnHelper(std::move(helper));
    else
      Refuse(Fd(), Error{EPERM, "it is not obit-pipe, started by the kernel"});
  }
}

/// Into the ledger before anything is asked: should the manager die meanwhile, the next clerk records it.
ManagerProcess::BegunCrash ManagerProcess::Begin(Transport transport, pid_t pid) {
  BegunCrash begun;
  SetText(begun.head.id, ids_.Next());
  begun.head.time = RealtimeNow();
  begun.head.transport = static_cast<std::uint32_t>(transport);
  begun.head.pid = pid;
  begun.slot = setup_.ledger->Note(setup_.generation, {.head = begun.head});
  return begun;
}

CrashKey ManagerProcess::AddCrash(const BegunCrash& begun, PeerIdentity peer) {
  const CrashKey key = next_crash_++;
  OpenCrash& crash = crashes_[key];
  crash.accepted = MonotonicNow();
  crash.pidfd = std::move(peer.pidfd);
  crash.peer = peer.info;
  crash.user = ShareOf(peer);
  crash.named_by_kernel = peer.named_by_kernel;
  shares_.Add(crash.user);
  crash.facts_room = FactsBudget::Room(facts_, crash.user);
  crash.ledger_slot = begun.slot;
  if (begun.slot && !shares_.TakeSlot(crash.user)) {
    setup_.ledger->Clear(*begun.slot);
    crash.ledger_slot.reset();
  }
  crash.unlisted = !crash.ledger_slot;
  if (crash.unlisted) setup_.ledger->CountUnlisted(1);
  RecordHead& head = crash.head;
  head = begun.head;
  head.pid = peer.info.pid;
  head.signal = peer.info.signal.value_or(0);
  head.code = peer.info.code.value_or(0);
  head.has_code = peer.info.code ? 1 : 0;
  head.uid = peer.info.uid.value_or(0);
  head.has_uid = peer.info.uid ? 1 : 0;
  head.root_only = peer.info.dump_mode != DumpMode::kUser ? 1 : 0;
  return key;
}

void ManagerProcess::Arrive(CrashKey key, Transport transport, std::uint64_t core_limit) {
  OpenCrash& crash = crashes_.at(key);
  NoteChange();
  UpdateLedger(crash);
  AskRoom();
  Feed(event::Arrived{.crash = key,
                      .id = TextIn(crash.head.id),
                      .time = crash.head.time,
                      .transport = transport,
                      .peer = crash.peer,
                      .user = crash.user,
                      .core_limit = core_limit});
}

/// Others fill the disk, too: what the clerk said when the last crash came may be long ago. It is asked
/// before the inspectors are, and answers while they look at the process; or too late for this one.
void ManagerProcess::AskRoom() {
  constexpr std::int64_t kRoomLasts = 50'000'000;  // ns
  const std::int64_t now = MonotonicNow();
  if (now - room_told_ < kRoomLasts) return;
  room_told_ = now;
  orders_.AskRoom();
  FlushClerk();
}

void ManagerProcess::UpdateLedger(const OpenCrash& crash) {
  if (!crash.ledger_slot) return;
  LedgerEntry entry{.head = crash.head};
  std::memcpy(entry.comm, crash.comm, sizeof entry.comm);
  setup_.ledger->Update(*crash.ledger_slot, entry);
}

/// The kernel's request, or the verdict on the answer; called until the exchange is over.
void ManagerProcess::OnConnection(CrashKey key) {
  const auto found = crashes_.find(key);
  if (found == crashes_.end() || !found->second.exchange || !found->second.connection) return;
  OpenCrash& crash = found->second;
  const auto step = crash.exchange->Receive();
  if (!step || *step != CoredumpExchange::Step::kMore) Unwatch(crash.connection);
  if (!step) return Feed(event::ConnectionLost{key, step.error().what});
  switch (*step) {
    case CoredumpExchange::Step::kMore:
      if (!poller_.Watch(crash.connection))
        return Feed(event::ConnectionLost{key, "the connection cannot be watched"});
      watched_.insert_or_assign(crash.connection.get(),
                                Watched{.what = Watched::What::kConnection, .crash = key});
      return;
    case CoredumpExchange::Step::kRequest:
      return Feed(event::RequestRead{key, crash.exchange->request()});
    case CoredumpExchange::Step::kCore:
      crash.head.transport = static_cast<std::uint32_t>(Transport::kSocket);
      return Feed(event::RequestRead{key, std::nullopt});
    case CoredumpExchange::Step::kMark:
      return Feed(event::MarkRead{key, crash.exchange->mark()});
  }
}

/// 0 where the clerk gave none: better than a wait for it.
std::uint64_t ManagerProcess::NextNumber() { return numbers_.next < numbers_.end ? numbers_.next++ : 0; }

}  // namespace obit
