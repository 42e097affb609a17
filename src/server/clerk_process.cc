#include <csignal>

#include <sys/stat.h>

#include "base/log.h"
#include "process/command.h"
#include "server/clerk.h"
#include "server/confine.h"

namespace obit {
namespace {

/// Returns when the clerk has done its work. An error: it could not begin, or not go on.
Result<void> Work(ClerkSetup setup) {
  // First of all: it must have nothing of the clerk's, and no right taken away that programs need.
  Launcher launcher = OBIT_TRY(Launcher::Fork(setup.programs));
  const pid_t launcher_pid = launcher.pid();
  StartCommandsBy(std::move(launcher));
  OBIT_TRY_IN(ConfineClerk(setup.store.root()), "confine the clerk");
  EventLoop loop = OBIT_TRY(EventLoop::Create());
  Clerk clerk(loop, std::move(setup));
  Result<void> ended;
  const auto give_up = [&](int) {
    ::kill(launcher_pid, SIGKILL);  // where it was only stopped
    ended = Refuse(ECHILD, "the process that starts programs is gone");
    clerk.GiveUp(ended.error().what);
  };
  const EventSource death = OBIT_TRY(loop.OnChild(launcher_pid, give_up, /*or_stopped=*/true));
  OBIT_TRY(clerk.Start());
  OBIT_TRY(loop.Run());
  return ended;
}

}  // namespace

void RunClerk(ClerkSetup setup) {
  ::umask(077);
  NeverWaitToLog();
  const auto worked = Work(std::move(setup));
  if (!worked) Log(Severity::kError, "the clerk ends: {}", worked.error().what);
  ::_exit(worked ? 0 : 1);
}

}  // namespace obit
