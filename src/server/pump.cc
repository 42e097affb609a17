#include <array>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "server/confine.h"
#include "server/messages.h"
#include "server/patient_messages.h"
#include "server/role.h"

namespace obit {
namespace {

constexpr std::size_t kStep = 1 << 20;  // bytes of a splice, at most
constexpr int kPause = 10;              // ms
constexpr short kHungUp = POLLHUP | POLLERR | POLLRDHUP;

/// Moves what comes out of the pipe into the socket until the one ends or the other is hung up. False: the
/// manager is gone. SIGPIPE is ignored: splice(2) knows no MSG_NOSIGNAL. Waits in poll(2) only: a splice that
/// waits for room in the socket has the pipe locked, and then not even SIGKILL ends the process that writes
/// to it.
bool Move(const Fd& manager, const Fd& pipe, const Fd& socket) {
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  for (bool is_full = false;;) {  // the socket
    std::array<pollfd, 3> watched{
        {{manager.get(), 0, 0},
         {is_full ? -1 : pipe.get(), POLLIN, 0},
         {socket.get(), static_cast<short>(is_full ? POLLOUT | POLLRDHUP : POLLRDHUP), 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;  // EINTR
    if ((watched[0].revents & kHungUp) != 0) return false;
    if ((watched[2].revents & kHungUp) != 0) return true;
    const ssize_t moved =
        ::splice(pipe.get(), nullptr, socket.get(), nullptr, kStep, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0 && errno == ENOMEM) {  // there will be some in a moment
      ::poll(watched.data(), 1, kPause);
      continue;
    }
    if (moved < 0 && errno != EAGAIN) return true;
    if (moved == 0) {
      ::shutdown(socket.get(), SHUT_WR);
      return true;
    }
    is_full = moved < 0 && !is_full;
  }
}

}  // namespace

void RunPump(PumpSetup setup) {
  if (const auto confined = ConfinePump(); !confined) {
    Log(Severity::kError, "a pump cannot be confined: {}", confined.error().what);
    ::_exit(1);
  }
  for (;;) {
    auto message = ReceivePatiently(setup.manager, sizeof(PumpJob));
    if (!message || message->bytes.empty()) ::_exit(0);
    const auto fds = std::move(message->fds);  // closed, they let the process go
    if (fds.size() == 2 && !Move(setup.manager, fds[0], fds[1])) ::_exit(0);
  }
}

}  // namespace obit
