#include "process/command.h"

#include <cstdlib>
#include <optional>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

/// It is the process' as a whole, as is what it may do.
std::optional<Launcher>& LauncherOfProcess() {
  static std::optional<Launcher> launcher;
  return launcher;
}

}  // namespace

void StartCommandsBy(Launcher launcher) { LauncherOfProcess() = std::move(launcher); }

Command::Command(std::string program) {
  launch_.program = std::move(program);
  launch_.fds.resize(STDERR_FILENO + 1, -1);
  // The only variable that obit's programs read: how strict their system call filters are.
  if (const char* mode = std::getenv("OBIT_SYSTEM_CALLS"))
    launch_.environment.push_back(std::string("OBIT_SYSTEM_CALLS=") + mode);
}

int Command::Pass(const Fd& fd) {
  launch_.fds.push_back(fd.get());
  return static_cast<int>(launch_.fds.size()) - 1;
}

Result<pid_t> Command::Start(const Fd& words) {
  const Fd nothing = OBIT_TRY(Open("/dev/null", O_RDONLY));
  if (launch_.fds[STDIN_FILENO] < 0) launch_.fds[STDIN_FILENO] = nothing.get();
  launch_.fds[STDOUT_FILENO] = launch_.fds[STDERR_FILENO] = words.get();
  const auto& launcher = LauncherOfProcess();
  const Launched launched =
      OBIT_TRY(launcher ? launcher->Start(launch_) : LaunchProgram(launch_, Fd(), LaunchParent::kCaller));
  if (launched.error == 0) return launched.pid;
  if (launched.pid > 0) ::waitpid(launched.pid, nullptr, 0);
  return Fail(launched.error, "start {}", launch_.program);
}

}  // namespace obit
