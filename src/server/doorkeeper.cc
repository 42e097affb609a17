#include "server/doorkeeper.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/unix_socket.h"
#include "kernel/coredump_exchange.h"

namespace obit {
namespace {

/// A loop that goes on has its next crash led to the manager in between, who then says so again.
constexpr std::int64_t kLinger = 100'000'000;  // ns
constexpr int kPause = 10;                     // ms, until there may be memory or descriptors again
/// So many crashes one after the other before he looks whether the manager has something to say.
constexpr int kAtOnce = 64;

/// False: it is the manager's.
bool TurnedAway(const Fd& connection, const PeerIdentity& peer, DoorBoard& board,
                ProcessInspector& inspector) {
  const auto glance = inspector.GlanceAt(peer.info);
  if (!glance) return false;
  const auto place = board.PlaceOf(board.HashOf(*glance), BoottimeNow());
  if (!place || !StillNamed(peer.pidfd)) return false;  // only then was it that process all the while
  const auto request = PeekRequest(connection);
  if (!request || !*request) return false;
  // Before the answer: whoever dies from here on, it is counted.
  board.Count(*place, RealtimeNow());
  board.LetGo();
  (void)CoredumpExchange(connection, **request).Send(CoredumpWish::kReject);
  return true;
}

/// He keeps it until he can pass it on: where memory or descriptors under way are short that is soon.
void LeadOn(const Fd& connection, const Fd& passage) {
  const std::array<std::byte, 1> word{};
  const std::array<int, 1> fds{connection.get()};
  for (;;) {
    const auto sent = SendMessage(passage, word, fds);
    if (sent || (sent.error().code != EAGAIN && !IsShortage(sent.error()))) return;
    pollfd room{passage.get(), POLLOUT, 0};
    ::poll(&room, 1, kPause);
  }
}

void Attend(const Fd& connection, const Door& door, DoorBoard& board, const PeerIdentifier& peers,
            ProcessInspector& inspector) {
  const auto peer = peers.connected(connection);
  if (peer) {
    board.Take({.pid = peer->info.pid, .uid = peer->info.uid.value_or(0), .time = RealtimeNow()});
    if (TurnedAway(connection, *peer, board, inspector)) return;
  }
  LeadOn(connection, door.passage);
  board.LetGo();
}

}  // namespace

void KeepDoor(const Door& door, const Fd& manager, DoorBoard& board, const PeerIdentifier& peers,
              ProcessInspector& inspector) {
  std::array<pollfd, 2> watched{{{door.listener.get(), POLLIN, 0}, {manager.get(), POLLIN, 0}}};
  for (;;) {
    const std::int64_t left = board.Until() + kLinger - BoottimeNow();
    if (left <= 0) return;
    const int ready =
        ::poll(watched.data(), watched.size(), static_cast<int>(std::min(left, kLinger) / 1'000'000 + 1));
    if ((ready < 0 && errno != EINTR) || watched[1].revents != 0) return;
    for (int i = 0; i < kAtOnce; ++i) {
      const Fd connection(::accept4(door.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!connection && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (!connection && errno != EAGAIN) return;  // what is short here the manager waits for
      if (!connection) break;
      Attend(connection, door, board, peers, inspector);
    }
  }
}

}  // namespace obit
