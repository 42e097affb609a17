#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "process/launch.h"
#include "process/launcher.h"

namespace obit {

/// A program to be started with some descriptors and nothing else of its parent (Launch): what a variable
/// says, and what is its input, is said here.
class Command {
 public:
  explicit Command(std::string program);

  [[nodiscard]] const std::string& program() const { return launch_.program; }
  void Add(std::string argument) { launch_.arguments.push_back(std::move(argument)); }
  /// The number under which the program will have the descriptor, which stays open until Start().
  [[nodiscard]] int Pass(const Fd& fd);
  /// Adds "NAME=value" to its environment.
  void SetVariable(std::string variable) { launch_.environment.push_back(std::move(variable)); }
  /// What it reads as its input, else nothing; `fd` stays open until Start().
  void SetInput(const Fd& fd) { launch_.fds[0] = fd.get(); }
  /// Starts it, with `words` as output and standard error.
  [[nodiscard]] Result<pid_t> Start(const Fd& words);

 private:
  Launch launch_;
};

/// From here on the process executes no program itself: every Command is started by `launcher`.
void StartCommandsBy(Launcher launcher);

}  // namespace obit
