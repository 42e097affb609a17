#include "server/released_processes.h"

#include <vector>

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"

namespace obit {
namespace {

/// Waits until one of `processes` exits, at most until `deadline`, CLOCK_MONOTONIC in ns. False: none has.
template <class Processes>
bool WaitForExit(const Processes& processes, std::int64_t deadline) {
  std::vector<pollfd> watched;
  for (const auto& process : processes) watched.push_back({process.peer.pidfd.get(), POLLIN, 0});
  const std::int64_t left = std::max<std::int64_t>(deadline - MonotonicNow(), 0);
  constexpr std::int64_t kSecond = 1'000'000'000;
  const timespec timeout{left / kSecond, left % kSecond};
  return ::ppoll(watched.data(), watched.size(), &timeout, nullptr) > 0;
}

}  // namespace

ReleasedProcesses::~ReleasedProcesses() {
  while (!processes_.empty()) {
    std::erase_if(processes_, [&](Process& process) {
      return HasExited(process.peer.pidfd) || Look(process) != Sight::kIdle;
    });
    for (const std::int64_t next = MonotonicNow() + patience_.look.count();
         !processes_.empty() && WaitForExit(processes_, next);)
      std::erase_if(processes_, [](const Process& process) { return HasExited(process.peer.pidfd); });
  }
}

void ReleasedProcesses::Watch(Peer peer, std::string name) {
  if (!peer.pidfd || HasExited(peer.pidfd)) return;
  const auto process = processes_.insert(processes_.end(), {std::move(peer), std::move(name)});
  if (const auto now = meter_(process->peer)) process->used = now->cpu_ticks;
  auto exited = loop_.OnReadable(process->peer.pidfd, [this, process] { processes_.erase(process); });
  if (!exited || !Arm(*process)) {
    KillProcess(process->peer.pidfd);
    processes_.erase(process);
    return;
  }
  process->exited = std::move(*exited);
}

bool ReleasedProcesses::Arm(Process& process) {
  auto timer = loop_.After(patience_.look, [this, &process] {
    // It is waited for after SIGKILL too: then it takes no more than its exit.
    if (Look(process) != Sight::kKilled && !Arm(process)) KillProcess(process.peer.pidfd);
  });
  if (timer) process.timer = std::move(*timer);
  return timer.has_value();
}

ReleasedProcesses::Sight ReleasedProcesses::Look(Process& process) {
  const auto now = meter_(process.peer);
  const bool works = now && (now->runs || now->cpu_ticks > process.used);
  if (now) process.used = now->cpu_ticks;
  if (works) {
    process.idle_looks = 0;
    return Sight::kWorks;
  }
  if (++process.idle_looks < patience_.looks) return Sight::kIdle;
  Log(Severity::kWarning, "{} did not exit after its release, and does nothing: sending SIGKILL",
      process.name);
  KillProcess(process.peer.pidfd);
  return Sight::kKilled;
}

}  // namespace obit
