#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>

#include "base/result.h"
#include "server/event_loop.h"
#include "server/peer.h"

namespace obit {

/// Makes sure that a crashed process goes once it was released. Closing the connection frees one that waits
/// for its reader; but the kernel, while it dumps, may itself wait in a page fault for a file system that
/// does not answer, and only SIGKILL ends that.
///
/// One that works is left alone. The kernel does not notice the end of its reader before it has something to
/// write, and walks through holes until then, 4 to 20 s a TiB (measured on 6.18). SIGKILL would take the
/// signal that it died of, and the word of its core, from what its parent is told.
class ReleasedProcesses {
 public:
  using Meter = std::function<Result<Activity>(const Peer&)>;
  /// When one is sent SIGKILL: after so many looks, one after the other, that saw no progress.
  struct Patience {
    std::chrono::nanoseconds look = std::chrono::seconds(1);
    int looks = 5;
  };

  ReleasedProcesses(EventLoop& loop, Meter meter) : ReleasedProcesses(loop, std::move(meter), Patience()) {}
  ReleasedProcesses(EventLoop& loop, Meter meter, Patience patience)
      : loop_(loop), meter_(std::move(meter)), patience_(patience) {}
  /// Waits for those that are still there as long as they do nothing, and then kills them; one that makes
  /// progress is left to itself.
  ~ReleasedProcesses();
  ReleasedProcesses(ReleasedProcesses&&) = delete;

  /// `peer` may be without pidfd: then nothing is known of it. `name` is for the log.
  void Watch(Peer peer, std::string name);

 private:
  struct Process {
    Peer peer;
    std::string name;
    std::uint64_t used = 0;  // CPU time
    int idle_looks = 0;
    EventSource exited, timer;
  };
  enum class Sight { kWorks, kIdle, kKilled };

  Sight Look(Process& process);
  [[nodiscard]] bool Arm(Process& process);

  EventLoop& loop_;
  Meter meter_;
  Patience patience_;
  std::list<Process> processes_;
};

}  // namespace obit
