#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// A program to start. It gets these descriptors and nothing else of who starts it: no signal mask, no
/// ignored signal; a process group of its own, so that ^C is for its parent to handle. It is killed when its
/// parent dies.
struct Launch {
  std::string program;                   ///< path, also its argv[0]
  std::vector<std::string> arguments;    ///< the others
  std::vector<std::string> environment;  ///< "NAME=value"
  std::vector<int> fds;                  ///< become its descriptors 0, 1, 2, ...; at most kLaunchFdsMax
};
inline constexpr std::size_t kLaunchFdsMax = 768;

/// Whose child the program becomes.
enum class LaunchParent {
  kCaller,
  kParentOfCaller,  ///< clone(2)'s CLONE_PARENT
};

struct Launched {
  pid_t pid = -1;
  int error = 0;  ///< errno: the program did not begin, and its parent has a dead child to reap
};

/// How long a program may take to begin before its start is no longer waited for: it may lie on a file system
/// that does not answer. If it fails after that, it ends with status 127.
inline constexpr std::chrono::milliseconds kLaunchPatience{1000};

/// Starts it. `program`, if not empty, is the program opened with O_PATH: where it lies need not be reachable
/// any more. Fails if there is not even a child.
[[nodiscard]] Result<Launched> LaunchProgram(const Launch& launch, const Fd& program, LaunchParent parent);

}  // namespace obit
