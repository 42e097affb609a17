#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "server/launch.h"
#include "server/spawner.h"

namespace obit {

/// A program to be started with some descriptors and nothing else of its parent (Launch); with an empty
/// environment.
class Command {
 public:
  explicit Command(std::string program);

  void Add(std::string argument) { launch_.arguments.push_back(std::move(argument)); }
  /// The number under which the program will have the descriptor, which stays open until Start().
  [[nodiscard]] int Pass(const Fd& fd);
  /// Starts it, with `words` as standard error and nothing as input and output.
  [[nodiscard]] Result<pid_t> Start(const Fd& words);

 private:
  Launch launch_;
};

/// From here on the process executes no program itself: every Command is started by `spawner`.
void StartCommandsBy(Spawner spawner);

}  // namespace obit
