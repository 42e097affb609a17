#pragma once

#include <string>
#include <vector>

#include <spawn.h>
#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// A program to be started with some descriptors and nothing else of its parent: no environment, no signal
/// mask, no ignored signal; in a process group of its own, so that ^C is for its parent to handle.
class Command {
 public:
  explicit Command(const std::string& program);
  Command(Command&&) = delete;
  ~Command();

  void Add(std::string argument) { arguments_.push_back(std::move(argument)); }
  /// The number under which the program will have the descriptor, which stays open until Start().
  [[nodiscard]] Result<int> Pass(const Fd& fd);
  /// Starts it, with `words` as standard error and nothing as input and output.
  [[nodiscard]] Result<pid_t> Start(const Fd& words);

 private:
  void Note(int error);

  std::vector<std::string> arguments_;
  std::vector<Fd> moved_;
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
  int error_ = 0;
};

}  // namespace obit
