#pragma once

#include <list>
#include <string>

#include "base/fd.h"
#include "server/event_loop.h"

namespace obit {

/// Makes sure that a crashed process goes once it was released. Closing the connection frees one that waits
/// for its reader; but the kernel, while it dumps, may itself wait in a page fault for a file system that
/// does not answer, and only SIGKILL ends that.
class ReleasedProcesses {
 public:
  /// How long a released process may take to exit before it is sent SIGKILL. It has died of its own signal
  /// already.
  static constexpr std::chrono::seconds kExitTimeout{5};

  explicit ReleasedProcesses(EventLoop& loop) : loop_(loop) {}
  /// Those that are still there are killed.
  ~ReleasedProcesses();
  ReleasedProcesses(ReleasedProcesses&&) = delete;

  /// `pidfd` may be empty. `name` is for the log.
  void Watch(Fd pidfd, std::string name);

 private:
  struct Process {
    Fd pidfd;
    std::string name;
    EventSource exited, timeout;
  };

  EventLoop& loop_;
  std::list<Process> processes_;
};

}  // namespace obit
