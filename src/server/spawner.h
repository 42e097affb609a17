#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "server/launch.h"

namespace obit {

/// A process that starts programs for one that gives up the right to do so itself. It has no capability, and
/// no descriptor of its parent's. It ends with its parent.
class Spawner {
 public:
  /// Forks it: the caller has no other thread. `programs` are opened now, so that the folders in which they
  /// lie need not be open to the user that the spawner is; those that are not there are left out.
  [[nodiscard]] static Result<Spawner> Fork(const std::vector<std::string>& programs);

  /// Has a program started, as a child of the caller. Waits until it has begun: about a millisecond.
  [[nodiscard]] Result<Launched> Start(const Launch& launch) const;

 private:
  explicit Spawner(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;  // SOCK_SEQPACKET
};

}  // namespace obit
