#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "process/event_loop.h"
#include "server/messages.h"

namespace obit {

/// The supervisor's end of the socket to a manager: what it does not take at once waits here, in order, and
/// the supervisor never does.
class SupervisorNewsQueue {
 public:
  static constexpr std::size_t kMax = 1024;  ///< beyond it the manager is not worth the wait

  /// `hopeless`: kMax wait, or the socket is broken. What comes from the manager is for the caller to read.
  SupervisorNewsQueue(EventLoop& loop, Fd socket, std::function<void()> hopeless);

  /// The descriptors are closed once they are sent.
  void Send(const SupervisorNews& news, std::vector<Fd> fds = {}, std::string_view text = {});
  [[nodiscard]] const Fd& socket() const { return socket_; }
  [[nodiscard]] std::size_t waiting() const { return queue_.size(); }

 private:
  struct Item {
    std::string bytes;
    std::vector<Fd> fds;
  };
  void Flush();
  void FlushLater(const Error& error);

  EventLoop& loop_;
  Fd socket_;
  Fd writable_;  // the same: epoll(7) has a descriptor once, and the caller waits for what comes
  std::function<void()> hopeless_;
  std::deque<Item> queue_;
  bool broken_ = false;  // nothing is sent any more
  EventSource later_;    // until the socket takes more
};

}  // namespace obit
