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
  RecordLeftInHand();
  auto pair = MakeSocketPair(SOCK_SEQPACKET);
  Fd end = pair ? std::move(pair->first) : Fd();
  const Fd& passage = end;
  const Question question{.kind = Question::Kind::kKeepDoor};
  const bool is_kept = pair && !passages_.contains(command.seat) && setup_.listeners.coredump && !paused_ &&
                       poller_.Watch(passage) &&
                       Ask(command.seat, question, NumbersOf({&setup_.listeners.coredump, &pair->second}));
  if (!is_kept) return Feed(event::DoorLeft{command.seat});
  ::fcntl(passage.get(), F_SETFL, O_NONBLOCK);
  watched_.insert_or_assign(passage.get(), Watched{.what = Watched::What::kPassage, .seat = command.seat});
  passages_[command.seat] = std::move(end);
  keeper_ = command.seat;
  taken_ = setup_.ledger->door().taken();
  poller_.Forget(setup_.listeners.coredump.get());
}

void ManagerProcess::Do(const command::TurnAway& command) {
  setup_.ledger->door().TurnAway(command.place, command.glance, command.until);
}

void ManagerProcess::Do(const command::LeaveDoor& command) {
  (void)Ask(command.seat, {.kind = Question::Kind::kLeaveDoor}, {});
}

/// He that does not move has his crashes taken from the backlog here, until he is gone.
void ManagerProcess::Do(const command::LookAtDoor&) {
  const DoorBoard& door = setup_.ledger->door();
  const bool waits = IsReadable(setup_.listeners.coredump);
  const std::uint64_t taken = door.taken();
  const bool moves = std::exchange(taken_, taken) != taken || (door.hand().pid == 0 && !waits);
  TellDoor(moves);
  if (!moves && waits && !paused_) AcceptCoredumps(kDoorAtOnce);
}

void ManagerProcess::TellDoor(bool moves) {
  event::DoorSeen seen{.moves = moves};
  for (std::size_t i = 0; i < seen.places.size(); ++i) {
    const DoorBoard::Counted counted = setup_.ledger->door().counted(i);
    seen.places[i] = {counted.crashes, counted.last};
  }
  NoteChange();
  Feed(seen);
}

/// Where something is short, he has to be who waits for it.
void ManagerProcess::OnPassage(const Seat& seat) {
  for (int most = kDoorAtOnce; most > 0; --most) {
    const auto found = passages_.find(seat);
    if (found == passages_.end()) return;
    if (paused_ && !stopping_) return poller_.Forget(found->second.get());
    if (!HasRoom() && !stopping_) return PauseAccept("no more descriptors");
    // With its descriptor a message would lose its crash.
    if (!Fd(::fcntl(setup_.supervisor.get(), F_DUPFD_CLOEXEC, 3))) return PauseAccept("no more descriptors");
    auto message = ReceiveMessage(found->second, 1, MSG_DONTWAIT);
    if (!message && (message.error().code == EAGAIN || IsShortage(message.error()))) return;
    if (!message || (message->bytes.empty() && message->fds.empty())) {
      watched_.erase(found->second.get());
      passages_.erase(found);
      return;
    }
    for (Fd& fd : message->fds) {
      if (!IsConnection(fd)) {
        orders_.Discard(std::move(fd));
        continue;
      }
      (void)TakeConnection(std::move(fd));
    }
  }
}

/// He has left, or is killed: the door is kept here again.
void ManagerProcess::OnDoorLeft(const Seat& seat) {
  OnPassage(seat);
  if (keeper_ != seat) return;
  keeper_.reset();
  if (!paused_) ResumeAccept();
}

/// A crash that its keeper had when he died, and that he did not pass on.
void ManagerProcess::RecordLeftInHand() {
  DoorBoard& door = setup_.ledger->door();
  const DoorBoard::Hand hand = door.hand();
  door.LetGo();
  if (hand.pid <= 0) return;
  const bool is_open = std::ranges::any_of(
      crashes_, [&](const auto& one) { return one.second.head.pid == hand.pid && !one.second.released; });
  if (is_open) return;
  BegunCrash begun = Begin(Transport::kSocketRequest);
  if (hand.time > 0 && hand.time < begun.head.time) begun.head.time = hand.time;  // whatever stands there
  PeerIdentity peer{.info = {.pid = hand.pid, .uid = hand.uid}, .share = hand.uid};
  const CrashKey key = AddCrash(begun, std::move(peer));
  Arrive(key, Transport::kSocketRequest, UINT64_MAX);
  Feed(event::ConnectionLost{key, "the inspector at the door died"});
}

}  // namespace obit
