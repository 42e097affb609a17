#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "process/event_loop.h"

namespace obit {

/// Looks now and then whether the kernel's core pattern leads to this server: anybody may set another one,
/// and then no crash comes, which looks like a quiet day. /proc/sys/kernel/core_pattern has no poll(2), so it
/// is read by the clock; seldom enough that an idle machine sleeps.
class PatternWatch {
 public:
  /// Less than a minute, and less than two wakeups a minute even with those for a watchdog.
  static constexpr std::chrono::seconds kInterval{45};

  using Read = std::function<Result<std::string>()>;  ///< of the pattern in force
  struct State {
    bool ours = false;  ///< it leads here
    bool news = true;   ///< worth a line in the log; not that all is well at the first look
    std::string text;   ///< for people
  };
  using Tell = std::function<void(const State& now)>;

  /// `sockets` are the paths that lead here. `tell` is called at the first look and for each change. `loop`
  /// outlives this object.
  PatternWatch(EventLoop& loop, std::vector<std::string> sockets, Read read, Tell tell);

  /// The first look is one interval from now: a server that starts is not in the pattern yet.
  void Start(std::chrono::nanoseconds interval = kInterval);

 private:
  void Look();

  EventLoop& loop_;
  std::vector<std::string> sockets_;
  Read read_;
  Tell tell_;
  std::chrono::nanoseconds interval_{};
  EventSource next_;
  std::optional<State> told_;
};

}  // namespace obit
