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
#include "server/messages.h"

namespace obit {
namespace {

/// A loop that goes on has its next crash led to the manager in between, who then says so again.
constexpr std::int64_t kLinger = 100'000'000;  // ns
constexpr int kPause = 10;                     // ms, until there may be memory, room or a hand again
/// So many crashes one after the other before he looks whether the manager has something to say.
constexpr int kAtOnce = 64;

/// Keeps the door, for as long as one call lasts.
class Doorkeeper {
 public:
  Doorkeeper(const DoorPost& post, DoorBoard& board, const PeerIdentifier& peers, ProcessInspector& inspector)
      : post_(post), board_(board), peers_(peers), inspector_(inspector) {}

  /// Takes what waits, some at most. False: he can do no more here.
  [[nodiscard]] bool AcceptSome();
  /// It may be that something waits, and no hand is free for it.
  [[nodiscard]] bool HasHand() const { return board_.FreeHand().has_value(); }

 private:
  [[nodiscard]] bool Attend(const Fd& connection, std::size_t hand);
  [[nodiscard]] bool TurnedAway(const Fd& connection, const PeerIdentity& peer, std::size_t hand);
  [[nodiscard]] bool LeadOn(const Fd& connection, std::size_t hand) const;

  const DoorPost& post_;
  DoorBoard& board_;
  const PeerIdentifier& peers_;
  ProcessInspector& inspector_;
};

bool Doorkeeper::AcceptSome() {
  for (int i = 0; i < kAtOnce; ++i) {
    const auto hand = board_.FreeHand();
    if (!hand) return true;
    const Fd connection(::accept4(post_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (!connection) return errno == EAGAIN;  // what is short here the manager waits for
    board_.Take(*hand, {.time = RealtimeNow()});
    if (!Attend(connection, *hand)) return false;
  }
  return true;
}

bool Doorkeeper::Attend(const Fd& connection, std::size_t hand) {
  if (const auto peer = peers_.connected(connection)) {
    const std::int64_t uid = peer->info.uid ? std::int64_t{*peer->info.uid} : DoorBoard::Held::kUnknown;
    board_.Take(hand, {.pid = peer->info.pid, .uid = uid, .time = RealtimeNow()});
    if (TurnedAway(connection, *peer, hand)) return true;
  }
  return LeadOn(connection, hand);
}

bool Doorkeeper::TurnedAway(const Fd& connection, const PeerIdentity& peer, std::size_t hand) {
  const auto glance = inspector_.GlanceAt(peer.info);
  if (!glance) return false;
  const auto place = board_.PlaceOf(board_.HashOf(*glance), BoottimeNow());
  if (!place || !StillNamed(peer.pidfd)) return false;  // only then was it that process all the while
  const auto request = PeekRequest(connection);
  if (!request || !*request) return false;
  // Before the answer: whoever dies from here on, it is counted.
  board_.Count(hand, *place, RealtimeNow());
  (void)CoredumpExchange(connection, **request).Send(CoredumpWish::kReject);
  return true;
}

/// False: the manager is gone, and the hand shows what becomes of it. Where memory, or descriptors under way,
/// are short he waits.
bool Doorkeeper::LeadOn(const Fd& connection, std::size_t hand) const {
  const Passing passing{static_cast<std::uint32_t>(hand)};
  const std::array<int, 1> fds{connection.get()};
  for (;;) {
    const auto sent = SendMessage(post_.passage, std::as_bytes(std::span(&passing, 1)), fds);
    if (sent) return true;
    if (sent.error().code != EAGAIN && !IsShortage(sent.error())) return false;
    ::poll(nullptr, 0, kPause);
  }
}

}  // namespace

void KeepDoor(const DoorPost& post, const Fd& manager, DoorBoard& board, const PeerIdentifier& peers,
              ProcessInspector& inspector) {
  Doorkeeper keeper(post, board, peers, inspector);
  for (;;) {
    const std::int64_t left = board.Until() + kLinger - BoottimeNow();
    if (left <= 0) return;
    const bool has_hand = keeper.HasHand();
    std::array<pollfd, 2> watched{{{manager.get(), POLLIN, 0}, {post.listener.get(), POLLIN, 0}}};
    const auto time = static_cast<int>(std::min(left, kLinger) / 1'000'000 + 1);
    const int ready = ::poll(watched.data(), has_hand ? 2 : 1, has_hand ? time : std::min(time, kPause));
    if ((ready < 0 && errno != EINTR) || watched[0].revents != 0) return;
    if (!keeper.AcceptSome()) return;
  }
}

}  // namespace obit
