#include "service_manager.h"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"

namespace obit {
namespace {

constexpr std::size_t kWaitingMax = 64;  // messages

/// The socket of $NOTIFY_SOCKET, a path or, with "@", an abstract name; empty if there is none.
Fd Connect() {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || (name[0] != '/' && name[0] != '@')) return {};
  const std::string_view path = name;
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0)
    return socket;
  Log(Severity::kWarning, "the service manager hears nothing: connect to {}: {}", path, std::strerror(errno));
  return {};
}

}  // namespace

ServiceManager::ServiceManager(EventLoop& loop) : loop_(loop), socket_(Connect()) {}

void ServiceManager::Tell(std::string lines) {
  if (!socket_ || waiting_.size() >= kWaitingMax) return;
  waiting_.push_back(std::move(lines));
  if (!later_) Flush();
}

void ServiceManager::Flush() {
  later_ = EventSource();
  while (!waiting_.empty()) {
    const std::string& lines = waiting_.front();
    const ssize_t sent = ::send(socket_.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
      if (auto later = loop_.After(std::chrono::seconds(1), [this] { Flush(); })) later_ = std::move(*later);
      return;
    }
    waiting_.pop_front();
  }
}

void ServiceManager::FeedWatchdog(std::function<bool()> is_well) {
  std::uint64_t period = 0;  // us
  if (sd_watchdog_enabled(0, &period) <= 0) return;
  beat_ = std::chrono::microseconds(period / 2);
  is_well_ = std::move(is_well);
  Beat();
}

void ServiceManager::Beat() {
  if (is_well_()) Tell("WATCHDOG=1");
  if (auto next = loop_.After(beat_, [this] { Beat(); })) watchdog_ = std::move(*next);
}

}  // namespace obit
