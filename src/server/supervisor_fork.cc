// How the supervisor fills its seats.

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "server/supervisor.h"

namespace obit {
namespace {

/// In a child, before its life.
template <class T>
T OrExit(Result<T> result) {
  if (result) return std::move(*result);
  Log(Severity::kError, "{}", result.error().what);
  ::_exit(1);
}

}  // namespace

/// All by one time: a seat that is due a moment later has its alarm.
void Supervisor::Fill() {
  const std::int64_t now = MonotonicNow();
  if (phase_ == Phase::kRunning || phase_ == Phase::kStopping) {
    FillRole(Role::kManager, now);
    // A pump before its worker: no pipe is given to a worker whose pump is not there yet.
    for (const Role role : {Role::kClerk, Role::kInspector, Role::kPump, Role::kWorker}) FillRole(role, now);
  }
  SetAlarm(now);
}

void Supervisor::FillRole(Role role, std::int64_t now) {
  if (role != Role::kManager && !news_) return;  // nobody to work for
  if (role == Role::kClerk && ClerkWaits(now)) return;
  for (const Seat& seat : seats_.Due(role, now)) {
    const auto forked = Fork(seat);
    if (forked) continue;
    Log(Severity::kError, "{}: it is tried again", forked.error().what);
    seats_.Fail(seat, now);
  }
}

Result<void> Supervisor::Fork(const Seat& seat) {
  std::uint32_t counter = 0;
  if (seat.role == Role::kWorker) {
    const auto free = FreeCounter();
    if (!free) return Refuse(EAGAIN, "fork the {}: too many of them were left behind", NameOf(seat.role));
    counter = *free;
    progress_.counter(counter) = 0;
  }
  const std::uint32_t before = manager_;
  if (seat.role == Role::kManager) {
    manager_ = setup_.ledger.BeginGeneration();
    accepts_ = false;
  }
  const std::int64_t now = MonotonicNow();
  auto child = [&]() -> Result<RoleProcess> {
    OBIT_TRY(Lend(seat.role, counter, true));
    return ForkRole(seat.role, LifeOf(seat, counter));
  }();
  // Also of what was lent in part: a child that has more than its own could write it.
  const auto ended = Lend(seat.role, counter, false);
  if (!ended) Log(Severity::kError, "{}", ended.error().what);
  if (!child) {
    manager_ = before;
    return std::unexpected(std::move(child).error());
  }
  Process& process = seats_.Sit(seat, child->pid, now);
  process.counter = counter;
  process.manager = manager_;
  return Welcome(process, std::move(*child));
}

/// Memory that the next child shares with others: what it is not lent it does not have. Errands, and
/// programs, have none of it.
Result<void> Supervisor::Lend(Role role, std::uint32_t counter, bool have) const {
  if (role == Role::kManager || role == Role::kClerk) OBIT_TRY(setup_.ledger.LetChildrenHaveIt(have));
  if (role == Role::kManager) OBIT_TRY(progress_.LetChildrenHaveIt(have));
  if (role == Role::kManager || role == Role::kInspector)
    OBIT_TRY(setup_.ledger.door().LetChildrenHaveIt(have));
  if (role == Role::kClerk) OBIT_TRY(counts_.LetChildrenHaveIt(have));
  if (role == Role::kWorker) OBIT_TRY(progress_.LetChildrenHave(counter, have));
  return {};
}

/// The other end of its socket is the manager's, and no copy of it stays here: it ends with the manager.
Result<void> Supervisor::Welcome(Process& process, RoleProcess child) {
  if (process.seat.role != Role::kManager) {
    std::vector<Fd> fds;
    fds.push_back(std::move(child.socket));
    fds.push_back(std::move(child.pidfd));
    news_->Send({.kind = SupervisorNews::Kind::kFilled,
                 .role = process.seat.role,
                 .index = process.seat.index,
                 .generation = process.seat.generation,
                 .counter = process.counter},
                std::move(fds));
    return {};
  }
  news_ = std::make_unique<SupervisorNewsQueue>(loop_, std::move(child.socket), [this, pid = child.pid] {
    Process* manager = seats_.Find(pid);
    if (manager == nullptr) return;
    manager->hung = news_->waiting() > 0;  // else it is dead already
    if (manager->hung) Log(Severity::kError, "the manager takes no news: killed");
    Kill(*manager);
  });
  words_ = OBIT_TRY(loop_.OnReadable(news_->socket(), [this] { OnWords(); }));
  return {};
}

/// One that no worker counts in, be it one that was left behind.
std::optional<std::uint32_t> Supervisor::FreeCounter() {
  std::set<std::uint32_t> used;
  for (const auto& [pid, process] : seats_.processes())
    if (process.seat.role == Role::kWorker) used.insert(process.counter);
  for (std::uint32_t number = 0; number < ProgressBoard::kCounters; ++number)
    if (!used.contains(number)) return number;
  return std::nullopt;
}

/// What runs in the child: all of this object is a copy there.
std::function<void(Fd)> Supervisor::LifeOf(const Seat& seat, std::uint32_t counter) {
  switch (seat.role) {
    case Role::kSupervisor:
      break;
    case Role::kManager:
      return [this](Fd socket) {
        KeepWithLog({&socket, &setup_.listeners.coredump, &setup_.listeners.pipe}, std::move(log_in_));
        setup_.lives.manager({.supervisor = std::move(socket),
                              .listeners = std::move(setup_.listeners),
                              .identifier = std::move(setup_.identifier),
                              .user_ranges = setup_.user_ranges,
                              .config = setup_.config,
                              .limits = setup_.limits,
                              .generation = manager_,
                              .inspectors = setup_.inspectors,
                              .workers = setup_.config.slots,
                              .ledger = &setup_.ledger,
                              .progress = &progress_});
      };
    case Role::kInspector:
      return [this](Fd socket) {
        KeepWithLog({&socket}, std::move(log_in_));
        setup_.lives.inspector({.manager = std::move(socket),
                                .identifier = std::move(setup_.identifier),
                                .door = &setup_.ledger.door()});
      };
    case Role::kWorker:
      return [this, counter](Fd socket) {
        KeepWithLog({&socket, &setup_.incoming, &setup_.userfaults}, std::move(log_in_));
        Fd incoming = OrExit(OpenAt(setup_.incoming, ".", O_RDONLY | O_DIRECTORY));
        setup_.incoming.Reset();
        setup_.lives.worker({.manager = std::move(socket),
                             .incoming = std::move(incoming),
                             .userfaults = std::move(setup_.userfaults),
                             .progress = &progress_.counter(counter)});
      };
    case Role::kPump:
      return [this](Fd socket) {
        KeepWithLog({&socket}, std::move(log_in_));
        setup_.lives.pump({.manager = std::move(socket)});
      };
    case Role::kClerk:
      return [this](Fd socket) {
        KeepWithLog({&socket, &log_out_}, Fd());
        if (!Lend(Role::kClerk, 0, false)) ::_exit(1);  // nor has the launcher
        Store store = OrExit(Store::Open(setup_.store));
        setup_.lives.clerk({.manager = std::move(socket),
                            .log = std::move(log_out_),
                            .store = std::move(store),
                            .config = setup_.config,
                            .analyzer = setup_.analyzer,
                            .programs = setup_.programs,
                            .sockets = setup_.sockets,
                            .ledger = &setup_.ledger,
                            .counts = counts_.get(),
                            .manager_generation = manager_,
                            .user_ranges = setup_.user_ranges});
      };
  }
  return [](Fd) { ::_exit(1); };
}

}  // namespace obit
