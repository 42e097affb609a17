#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

#include <sys/types.h>

#include "process/event_loop.h"

namespace obit {

/// Programs that were killed and do not die: each waits in the kernel, for a file server that does not answer
/// or a driver. They are counted, since whoever goes on starting what ends like them takes the host's memory
/// with it; and reaped, once they die.
class UndeadChildren {
 public:
  /// From here on programs are started without what they may have come to wait for; and from here on none is.
  static constexpr std::size_t kFew = 8, kMax = 32;

  /// `loop` outlives it.
  explicit UndeadChildren(EventLoop& loop) : loop_(loop) {}
  UndeadChildren(UndeadChildren&&) = delete;

  /// A child that nobody else watches.
  void Add(pid_t pid);
  [[nodiscard]] std::size_t count() const { return children_.size(); }
  /// Calls back, as long as this object lives, when one of them has died.
  void OnDeath(std::function<void()> callback) { callbacks_.push_back(std::move(callback)); }

 private:
  EventLoop& loop_;
  std::map<pid_t, EventSource> children_;
  std::vector<std::function<void()>> callbacks_;
};

}  // namespace obit
