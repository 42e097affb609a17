#pragma once

#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// epoll(7). Unlike process/event_loop.h it needs no system call but epoll's own: for a process that may make
/// few.
class Poller {
 public:
  [[nodiscard]] static Result<Poller> Create();

  /// Reports `fd` whenever it can be read or has ended, if `writable` also when it can be written. Again:
  /// changes that.
  [[nodiscard]] bool Watch(const Fd& fd, bool writable = false) const;
  void Forget(int fd) const;

  struct Ready {
    int fd = -1;
    bool readable = false, writable = false;
  };
  /// What is ready; nothing after `timeout` ms (-1: waits for ever) or a signal.
  [[nodiscard]] std::vector<Ready> Wait(int timeout) const;

 private:
  explicit Poller(Fd epoll) : epoll_(std::move(epoll)) {}
  Fd epoll_;
};

}  // namespace obit
