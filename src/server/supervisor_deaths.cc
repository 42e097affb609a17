// What the supervisor makes of the deaths of others.

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/supervisor.h"

namespace obit {
namespace {

/// Managers in a row that may end before they accept.
constexpr int kVainManagersMax = 5;

std::string NameOf(const Seat& seat) {
  if (seat.role == Role::kManager || seat.role == Role::kClerk) return std::string(NameOf(seat.role));
  return fmt::format("{} {}", NameOf(seat.role), seat.index);
}

/// Those whom the manager kills for what a crash had them wait for: none is blamed for that. The manager says
/// why, and who was killed by somebody else.
bool ManagerKills(Role role) {
  return role == Role::kInspector || role == Role::kWorker || role == Role::kPump;
}

bool HasHungUp(const Fd& socket) {
  pollfd look{socket.get(), 0, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & POLLHUP) != 0;
}

}  // namespace

void Supervisor::OnChildren() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) < 0 || info.si_pid == 0) break;
    if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED) {
      OnStopped(info.si_pid);
      continue;
    }
    const int status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status & 0x7f;
    Process* known = seats_.Find(info.si_pid);
    if (known == nullptr) continue;  // an errand
    const bool by_manager =
        ManagerKills(known->seat.role) && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (by_manager) known->expected = true;
    if (const auto process = seats_.Take(info.si_pid, MonotonicNow(), /*blamed=*/!by_manager))
      OnDeath(*process, status);
  }
  Fill();
  if (phase_ == Phase::kOver && seats_.processes().empty()) Finish();
}

/// Nobody stops a process of obitd to any good, and a stopped one keeps what it has for ever.
void Supervisor::OnStopped(pid_t pid) {
  Process* process = seats_.Find(pid);
  if (process == nullptr) return;
  Log(Severity::kError, "the {} was stopped: killed", NameOf(process->seat));
  process->expected = process->stopped = true;
  Kill(*process);
}

void Supervisor::OnDeath(const Process& process, int status) {
  const bool is_manager = process.seat.role == Role::kManager;
  // Whose socket to the manager has ended may be reaped before it.
  const bool lost = news_ && (is_manager ? process.manager == manager_ : HasHungUp(news_->socket()));
  if (lost) LoseManager();
  // Status 0: its socket has ended, as it does with a manager that is about to be dead.
  if (!process.expected && (is_manager || !lost))
    Log(status == 0 ? Severity::kNotice : Severity::kError, "the {} {}", NameOf(process.seat),
        DescribeEnd(status));
  if (is_manager) return JudgeManager(process, status);
  if (phase_ == Phase::kStopping && process.seat.role == Role::kClerk && status == 0) {
    clerk_is_done_ = true;
    SetCounts();
  }
  if (news_ && process.manager == manager_)
    news_->Send({.kind = SupervisorNews::Kind::kVacated,
                 .role = process.seat.role,
                 .index = process.seat.index,
                 .generation = process.seat.generation,
                 .status = process.stopped ? W_STOPCODE(SIGSTOP) : status});
  if (phase_ == Phase::kEnding && process.seat.role == Role::kClerk && !news_) KillAll();
}

/// Where none comes to accept, crashes would wait at the sockets for ever: the service manager, which is told
/// that obitd failed, can end that.
void Supervisor::JudgeManager(const Process& process, int status) {
  // Who kills it from outside may let the next one live.
  const bool by_others = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !process.hung;
  if (phase_ != Phase::kRunning || accepts_ || by_others) return;
  if (++vain_managers_ < kVainManagersMax) return;
  ended_ = Refuse(ECHILD, "the manager ended {} times in a row before it accepted crashes", vain_managers_);
  KillAll();
}

/// It is dead, or about to be: its seat is free once it is reaped.
void Supervisor::LoseManager() {
  if (!news_) return;
  TakeLastWords();
  HangUp();
  words_ = EventSource();
  news_.reset();
  manager_ = 0;
  for (auto& [pid, process] : seats_.processes()) {
    if (process.seat.role == Role::kManager) {
      Kill(process);
      continue;
    }
    process.expected = true;
    seats_.Leave(process);
    if (process.seat.role == Role::kInspector || process.seat.role == Role::kPump) Kill(process);
    if (process.seat.role == Role::kWorker) EndLater(process, setup_.times.old_workers);
    if (process.seat.role == Role::kClerk) EndLater(process, setup_.times.old_clerk);
  }
  if (phase_ == Phase::kStopping) EndManager();
}

/// One that is alive answers at once: it waits for nothing.
bool Supervisor::CheckManager() {
  OnWords();  // its answer may be there
  Process* manager = seats_.At(Role::kManager, 0);
  if (phase_ != Phase::kRunning || manager == nullptr) return true;
  if (std::exchange(asked_, manager->manager) != manager->manager) {
    if (news_) news_->Send({.kind = SupervisorNews::Kind::kPing});
    return true;
  }
  if (manager->killed) return false;
  Log(Severity::kError, "the manager does not answer: killed");
  manager->expected = manager->hung = true;
  LoseManager();  // it may take long to die
  return true;
}

void Supervisor::EndLater(Process& process, std::chrono::nanoseconds patience) {
  process.end = std::min(process.end, MonotonicNow() + patience.count());
}

void Supervisor::Kill(Process& process) {
  process.killed = true;
  ::kill(process.pid, SIGKILL);  // it has this pid until it is reaped, here
}

void Supervisor::KillOverdue() {
  const std::int64_t now = MonotonicNow();
  for (auto& [pid, process] : seats_.processes())
    if (process.end <= now && !process.killed) Kill(process);
  Fill();
}

/// The next clerk takes what is in incoming/ and in the ledger: it comes when the ones before have ended, or
/// will not.
bool Supervisor::ClerkWaits(std::int64_t now) {
  return std::ranges::any_of(seats_.processes(), [&](const auto& entry) {
    const Process& old = entry.second;
    return old.end != INT64_MAX && now < old.end + setup_.times.die.count();
  });
}

/// For what is due by the time.
void Supervisor::SetAlarm(std::int64_t now) {
  std::int64_t next = seats_.NextDue(now);
  for (const auto& [pid, process] : seats_.processes()) {
    if (process.end == INT64_MAX) continue;
    const std::int64_t given_up = process.end + setup_.times.die.count();
    if (!process.killed || now < given_up) next = std::min(next, process.killed ? given_up : process.end);
  }
  alarm_ = EventSource();
  if (next == INT64_MAX || phase_ == Phase::kOver) return;
  auto alarm = loop_.After(
      std::chrono::nanoseconds(std::max<std::int64_t>(next - now, 0)) + std::chrono::microseconds(1),
      [this] { KillOverdue(); });
  if (alarm) alarm_ = std::move(*alarm);
}

}  // namespace obit
