#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "process/event_loop.h"

namespace obit {

/// systemd, or whoever else sd_notify(3) would tell. Unlike that function it never waits: what the service
/// manager does not take at once is sent a second later. Nothing where there is none.
class ServiceManager {
 public:
  /// Connects while paths may still be looked up. `loop` outlives this object.
  explicit ServiceManager(EventLoop& loop);
  ServiceManager(ServiceManager&&) = delete;

  /// Lines of the protocol, as "READY=1".
  void Tell(std::string lines);
  /// Feeds its watchdog, if it set one (sd_watchdog_enabled(3)): twice in its time, whenever `is_well` is
  /// true then. Without a watchdog nothing is asked.
  void FeedWatchdog(std::function<bool()> is_well);

 private:
  void Flush();
  void Beat();

  EventLoop& loop_;
  Fd socket_;
  std::deque<std::string> waiting_;
  EventSource later_, watchdog_;
  std::chrono::microseconds beat_{0};
  std::function<bool()> is_well_;
};

}  // namespace obit
