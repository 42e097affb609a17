#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "process/launch.h"

namespace obit {

/// A process that starts programs for one that gives up the right to do so itself. It has no capability, and
/// no descriptor of its parent's. It ends with its parent.
class Launcher {
 public:
  /// Forks it: the caller has no other thread. `programs` are opened now, so that the folders in which they
  /// lie need not be open to the user that the launcher is; those that are not there are left out.
  [[nodiscard]] static Result<Launcher> Fork(const std::vector<std::string>& programs);

  /// Has a program started, as a child of the caller. Waits until it has begun, about a millisecond, at most
  /// kPatience; then the launcher is killed: its death is for the caller to notice. ETIMEDOUT: so it
  /// was. EPIPE, ECONNRESET: it is gone.
  [[nodiscard]] Result<Launched> Start(const Launch& launch) const;

  /// It is a child of who forked it, who reaps it.
  [[nodiscard]] pid_t pid() const { return pid_; }

  /// More than kLaunchPatience, for a launcher that hangs.
  static constexpr std::chrono::seconds kPatience{5};

 private:
  Launcher(Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
  Fd socket_;  // SOCK_SEQPACKET; does not block
  pid_t pid_ = -1;
};

}  // namespace obit
