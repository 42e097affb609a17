// The inspector at the door: what he is told, what he counts, and whom he leads on (doorkeeper.h).

#include <algorithm>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/unix_socket.h"
#include "server/manager_process.h"
#include "server/message_bytes.h"

namespace obit {
namespace {

static_assert(kDoorPlaces == DoorBoard::kPlaces);

/// All that an inspector can have that is such a socket is the coredump socket, and what it accepted there:
/// of everything else that he could pass on, closing it may wait.
bool IsConnection(const Fd& fd) {
  const auto is = [&](int option, int wanted) {
    int value = 0;
    socklen_t length = sizeof value;
    return ::getsockopt(fd.get(), SOL_SOCKET, option, &value, &length) == 0 && value == wanted;
  };
  return is(SO_DOMAIN, AF_UNIX) && is(SO_TYPE, SOCK_STREAM) && is(SO_ACCEPTCONN, 0);
}

bool IsReadable(const Fd& fd) {
  pollfd watched{fd.get(), POLLIN, 0};
  return fd && ::poll(&watched, 1, 0) > 0;
}

}  // namespace

void ManagerProcess::Do(const command::KeepDoor& command) {
  auto pair = MakeSocketPair(SOCK_SEQPACKET);
  const bool is_free = !passage_ && !paused_ && !stopping_ && setup_.listeners.coredump;
  if (!pair || !is_free || !poller_.Watch(pair->first)) return Feed(event::DoorLeft{command.seat});
  for (const Fd* end : {&pair->first, &pair->second}) ::fcntl(end->get(), F_SETFL, O_NONBLOCK);
  passage_ = std::move(pair->first);
  keeper_ = command.seat;
  taken_ = setup_.ledger->door().taken();
  watched_.insert_or_assign(passage_.get(), Watched{.what = Watched::What::kPassage});
  poller_.Forget(setup_.listeners.coredump.get());
  const Question question{.kind = Question::Kind::kKeepDoor};
  if (Ask(command.seat, question, NumbersOf({&setup_.listeners.coredump, &pair->second}))) return;
  OnDoorLeft(command.seat);
  Feed(event::DoorLeft{command.seat});
}

void ManagerProcess::Do(const command::TurnAway& command) {
  setup_.ledger->door().TurnAway(command.place, command.glance, command.until);
}

void ManagerProcess::Do(const command::LeaveDoor& command) {
  (void)Ask(command.seat, {.kind = Question::Kind::kLeaveDoor}, {});
}

/// He that does not move has his crashes taken from the backlog here, until he is gone. While the manager
/// waits for room itself, he may have to as well.
void ManagerProcess::Do(const command::LookAtDoor&) {
  const DoorBoard& door = setup_.ledger->door();
  const bool waits = IsReadable(setup_.listeners.coredump);
  bool holds = false;
  for (std::size_t hand = 0; hand < DoorBoard::kHands; ++hand) holds = holds || door.held(hand);
  const std::uint64_t taken = door.taken();
  const bool moves = std::exchange(taken_, taken) != taken || (!holds && !waits);
  TellDoor(moves || paused_);
  if (!moves && waits && !paused_) AcceptCoredumps(kDoorAtOnce);
}

void ManagerProcess::TellDoor(std::optional<bool> moves) {
  event::DoorSeen seen{.moves = moves};
  for (std::size_t i = 0; i < seen.places.size(); ++i) {
    const DoorBoard::Counted counted = setup_.ledger->door().counted(i);
    seen.places[i] = {counted.crashes, counted.last};
  }
  NoteChange();
  Feed(seen);
}

/// Where a descriptor is short its message would lose its crash, so it waits there; when obitd stops, the one
/// that is kept for that is used.
bool ManagerProcess::CanReceiveOne() {
  const Fd probe(::fcntl(setup_.supervisor.get(), F_DUPFD_CLOEXEC, 3));
  if (probe) return true;
  if (stopping_) return spare_ ? (spare_.Reset(), true) : false;
  return false;
}

void ManagerProcess::OnPassage() {
  for (int most = kDoorAtOnce; most > 0 && passage_; --most) {
    if (paused_ && !stopping_) return poller_.Forget(passage_.get());
    if ((!HasRoom() && !stopping_) || !CanReceiveOne()) return PauseAccept("no more descriptors");
    auto message = ReceiveMessage(passage_, sizeof(Passing), MSG_DONTWAIT);
    if (!spare_) spare_ = Fd(::fcntl(setup_.supervisor.get(), F_DUPFD_CLOEXEC, 3));
    if (!message && (message.error().code == EAGAIN || IsShortage(message.error()))) return;
    if (!message || (message->bytes.empty() && message->fds.empty())) {
      Unwatch(passage_);
      passage_.Reset();
      return RecordHeld();
    }
    TakePassed(std::move(*message));
  }
}

bool ManagerProcess::IsOpen(const Fd& connection) const {
  const auto peer = PeerCredentials(connection);
  return peer && std::ranges::any_of(crashes_, [&](const auto& one) {
           return one.second.head.pid == peer->pid && !one.second.released;
         });
}

/// One process has one crash: whoever passes on a second connection of it made that up.
void ManagerProcess::TakePassed(Message message) {
  for (Fd& fd : message.fds) {
    if (!IsConnection(fd) || IsOpen(fd)) {
      orders_.Discard(std::move(fd));
      continue;
    }
    const CrashKey next = next_crash_;
    (void)TakeConnection(std::move(fd), /*is_on_board=*/true);
    if (const auto taken = crashes_.find(next); taken != crashes_.end()) taken->second.was_passed = true;
  }
  if (const auto passing = HeadOf<Passing>(message); passing && passing->hand < DoorBoard::kHands)
    setup_.ledger->door().LetGo(passing->hand);
}

/// He has left, or is killed: the door is kept here again. What he passed on is read before anything else
/// that he said counts, and what waits when obitd stops is accepted.
void ManagerProcess::OnDoorLeft(const Seat& seat) {
  if (keeper_ != seat) return;
  OnPassage();  // more than kHands there cannot be
  keeper_.reset();
  if (stopping_)
    CloseCoredumpListener();
  else if (!paused_)
    ResumeAccept();
}

/// Crashes that were accepted at the door, and that nobody has any more.
void ManagerProcess::RecordHeld() {
  DoorBoard& door = setup_.ledger->door();
  constexpr const char* kWhy = "the inspector at the door died";
  for (std::size_t hand = 0; hand < DoorBoard::kHands; ++hand) {
    if (const auto held = door.held(hand)) {
      PeerIdentity peer;
      if (held->uid != DoorBoard::Held::kUnknown)
        peer.share = peer.info.uid = static_cast<std::uint32_t>(held->uid);
      if (held->pid == DoorBoard::Held::kUnknown) {
        Lose(peer, kWhy);
      } else {
        peer.info.pid = held->pid;
        BegunCrash begun = Begin(Transport::kSocketRequest);
        if (held->time > 0 && held->time < begun.head.time) begun.head.time = held->time;
        const CrashKey key = AddCrash(begun, std::move(peer));
        Arrive(key, Transport::kSocketRequest, UINT64_MAX);
        Feed(event::ConnectionLost{key, kWhy});
      }
    }
    door.LetGo(hand);
  }
}

}  // namespace obit
