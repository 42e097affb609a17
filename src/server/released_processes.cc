#include "server/released_processes.h"

#include "base/log.h"
#include "kernel/pidfd.h"

namespace obit {

ReleasedProcesses::~ReleasedProcesses() {
  for (const Process& process : processes_) KillProcess(process.pidfd);
}

void ReleasedProcesses::Watch(Fd pidfd, std::string name) {
  if (!pidfd || HasExited(pidfd)) return;
  const auto process = processes_.insert(processes_.end(), {std::move(pidfd), std::move(name), {}, {}});
  auto exited = loop_.OnReadable(process->pidfd, [this, process] { processes_.erase(process); });
  auto timeout = loop_.After(kExitTimeout, [process] {
    Log(Severity::kWarning, "{} did not exit after its release: sending SIGKILL", process->name);
    KillProcess(process->pidfd);
  });
  if (!exited || !timeout) {
    KillProcess(process->pidfd);
    processes_.erase(process);
    return;
  }
  process->exited = std::move(*exited);
  process->timeout = std::move(*timeout);
}

}  // namespace obit
