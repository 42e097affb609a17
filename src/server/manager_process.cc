#include "server/manager_process.h"

#include <algorithm>
#include <cerrno>
#include <span>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "server/confine.h"
#include "server/manager_witness.h"
#include "server/message_bytes.h"

namespace obit {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000, kSecond = 1'000 * kMillisecond;
/// So long the clerk has to tell what it found before crashes are accepted without numbers.
constexpr std::int64_t kClerkPatience = 2 * kSecond;
/// What one source gets in one round: who comes again and again does not keep the loop from the others.
constexpr int kAtOnce = 64;
/// Connections that a backlog may hold, when no more are to come.
constexpr int kBacklogMax = 8192;
/// A killed worker is told by the progress of another: the counters of those that are gone do not move.
std::uint64_t ProgressOf(const ProgressBoard& board, std::uint32_t counter) {
  return board.counter(counter % ProgressBoard::kCounters).load(std::memory_order_relaxed);
}

DescriptorBudget BudgetOf(const ManagerSetup& setup) {
  return DescriptorBudget(setup.inspectors + 2 * std::size_t{setup.config.slots} + 2);
}

}  // namespace

ManagerProcess::ManagerProcess(ManagerSetup setup, Poller poller)
    : setup_(std::move(setup)),
      poller_(std::move(poller)),
      manager_({.config = setup_.config,
                .limits = setup_.limits,
                .inspectors = setup_.inspectors,
                .workers = setup_.workers,
                .site_key = setup_.ledger->site_key(),
                .sites = setup_.ledger->sites()},
               [this](const Seat& seat) {
                 const Member* member = Find(seat);
                 const auto progress = member != nullptr ? ProgressOf(*setup_.progress, member->counter) : 0;
                 if (setup_.witness != nullptr) setup_.witness->HearProgress(seat, progress);
                 return progress;
               }),
      budget_(BudgetOf(setup_)),
      spare_(::fcntl(setup_.supervisor.get(), F_DUPFD_CLOEXEC, 3)) {}

void ManagerProcess::Run() {
  ::fcntl(setup_.supervisor.get(), F_SETFL, O_NONBLOCK);
  watched_.emplace(setup_.supervisor.get(), Watched{.what = Watched::What::kSupervisor});
  (void)poller_.Watch(setup_.supervisor);
  listen_at_ = MonotonicNow() + kClerkPatience;
  TellDoor(true);
  while (!done_) {
    for (const Poller::Ready& ready : poller_.Wait(Timeout())) {
      const auto watched = watched_.find(ready.fd);
      if (watched == watched_.end()) continue;  // forgotten while this round was handled
      const Watched copy = watched->second;
      if (ready.writable && copy.what == Watched::What::kSupervisor) FlushWords();
      if (ready.writable && copy.what == Watched::What::kMember) FlushClerk();
      if (ready.readable) Handle(copy, ready.fd);
      if (done_) return;
    }
    OnTime();
    FlushClerk();
    FlushWords();
  }
}

void ManagerProcess::Handle(const Watched& watched, int fd) {
  switch (watched.what) {
    case Watched::What::kSupervisor:
      return OnSupervisor();
    case Watched::What::kCoredump:
      return AcceptCoredumps(kAtOnce);
    case Watched::What::kHelper:
      return fd == setup_.listeners.pipe.get() ? AcceptHelpers(kAtOnce) : OnHelperReadable(fd);
    case Watched::What::kConnection:
      return OnConnection(watched.crash);
    case Watched::What::kProcess:
      poller_.Forget(fd);
      watched_.erase(fd);
      return OnExit(watched.crash);
    case Watched::What::kMember:
      // An inspector says one thing at a time: a second look would mostly see nothing.
      return OnMember(watched.seat, watched.seat.role == Role::kInspector ? 1 : kAtOnce);
    case Watched::What::kPassage:
      return OnPassage();
    case Watched::What::kVisitor:
      watched_.erase(fd);
      if (const auto left = visitors_.Leave(fd); !left) Refuse(Fd(), left.error());
      return;
  }
}

/// A descriptor is forgotten by epoll(7) with its last copy, wherever that is: others have copies of most.
void ManagerProcess::Unwatch(const Fd& fd) {
  if (fd && watched_.erase(fd.get()) > 0) poller_.Forget(fd.get());
}

/// Nothing is asked about it any more, and it takes nobody's share.
void ManagerProcess::OnExit(CrashKey key) {
  Feed(event::ProcessExited{key});
  const auto found = crashes_.find(key);
  if (found != crashes_.end()) Settle(found->second);
}

/// What a command brings about while it is done comes after all commands of its event.
void ManagerProcess::Feed(Event event) {
  events_.push_back(std::move(event));
  if (std::exchange(feeding_, true)) return;
  while (!events_.empty()) {
    const Event next = std::move(events_.front());
    events_.pop_front();
    const std::int64_t now = MonotonicNow();
    if (setup_.witness != nullptr) setup_.witness->Hear(next, now);
    const std::vector<Command> commands = manager_.On(next, now);
    SaveSites();
    if (setup_.witness != nullptr) setup_.witness->Hear(commands, manager_);
    for (const Command& command : commands) Execute(command);
  }
  feeding_ = false;
}

void ManagerProcess::Execute(const Command& command) {
  std::visit([this](const auto& one) { Do(one); }, command);
}

int ManagerProcess::Timeout() const {
  std::int64_t next = std::min({manager_.NextDeadline(), visitors_.NextDeadline(), numbers_due_, resume_at_,
                                flush_at_, give_pipes_at_, words_at_});
  if (!listening_ && !stopping_) next = std::min(next, listen_at_);
  if (!leaving_.empty()) next = std::min(next, leaving_.front().second);
  for (const auto& [fd, helper] : helpers_) next = std::min(next, helper.second);
  if (next == INT64_MAX) return -1;
  const std::int64_t left = std::max<std::int64_t>(next - MonotonicNow(), 0);
  return static_cast<int>(std::min<std::int64_t>((left + kMillisecond - 1) / kMillisecond, 60'000));
}

void ManagerProcess::OnTime() {
  const std::int64_t now = MonotonicNow();
  LookAtLeaving(now);
  if (manager_.NextDeadline() <= now) Feed(event::Tick{});
  while (const auto overdue = visitors_.Overdue(now)) {
    watched_.erase(*overdue);
    if (const auto left = visitors_.Leave(*overdue); !left) Refuse(Fd(), left.error());
  }
  for (auto next = helpers_.begin(); next != helpers_.end();) {
    const auto helper = next++;
    const int fd = helper->first;
    if (helper->second.second > now) continue;
    OnHelperReadable(fd);  // where something was short it may have said it long ago
    if (!helpers_.contains(fd)) continue;
    watched_.erase(fd);
    helpers_.erase(fd);
    Refuse(Fd(), Error{ETIMEDOUT, "a helper that names no crash"});
  }
  if (!listening_ && !stopping_ && listen_at_ <= now) Listen();
  if (resume_at_ <= now) ResumeAccept();
  if (give_pipes_at_ <= now) GivePipes();
  if (numbers_due_ <= now) {
    numbers_due_ = INT64_MAX;
    const Manager::Load load = TellLoad();
    orders_.FlushNumbers();
    if (load.queued + load.captures > 0) NoteChange();
  }
}

Manager::Load ManagerProcess::TellLoad() {
  orders_.AddRepeats(manager_.TakeRepeats());
  const Manager::Load load = manager_.load();
  orders_.SetLoad({.queued = load.queued,
                   .captures = load.captures,
                   .left_behind = load.left_behind,
                   .refused = refused_,
                   .replaced = replaced_,
                   .kept = load.kept.processes,
                   .kept_bytes = load.kept.bytes,
                   .tallies = setup_.ledger->tallies()});
  return load;
}

/// Where something is short the socket may have room, and would be ready at once, again and again.
void ManagerProcess::FlushClerk() {
  const auto flushed = orders_.Flush();
  const bool full = flushed == ClerkOrders::Flushed::kFull;
  flush_at_ = flushed == ClerkOrders::Flushed::kShort ? MonotonicNow() + kShortagePause : INT64_MAX;
  Member* clerk = clerk_ ? Find(*clerk_) : nullptr;
  if (clerk != nullptr && !clerk->has_ended && std::exchange(clerk->is_full, full) != full)
    (void)poller_.Watch(clerk->socket, full);
}

// The supervisor.

void ManagerProcess::OnSupervisor() {
  for (;;) {
    auto message = ReceiveMessage(setup_.supervisor, sizeof(SupervisorNews) + kConfigTextMax, MSG_DONTWAIT);
    if (!message && message.error().code == EMSGSIZE) continue;  // no descriptor was free: a seat stays empty
    if (!message) {
      done_ = message.error().code != EAGAIN && !IsShortage(message.error());
      return;
    }
    const auto news = HeadOf<SupervisorNews>(*message);
    if (!news) {
      done_ = message->bytes.empty();  // the supervisor is gone
      if (done_) return;
      continue;
    }
    switch (news->kind) {
      case SupervisorNews::Kind::kFilled:
        if (message->fds.size() == 2) OnFilled(*news, std::move(message->fds[0]), std::move(message->fds[1]));
        break;
      case SupervisorNews::Kind::kVacated:
        OnVacated(*news);
        break;
      case SupervisorNews::Kind::kConfigure: {
        const std::string_view text = TextBehind<SupervisorNews>(*message);
        auto config = ParseConfig(text, "configuration");
        if (!config) {
          Log(Severity::kError, "the manager cannot take the configuration: {}", config.error().what);
          break;
        }
        setup_.config = std::move(*config);
        setup_.limits = LimitsOf(setup_.config);
        ++rules_;
        budget_ = BudgetOf(setup_);
        orders_.Configure(std::string(text));
        Feed(event::Configured{setup_.config, setup_.limits});
        break;
      }
      case SupervisorNews::Kind::kStop:
        BeginStop();
        break;
      case SupervisorNews::Kind::kPing:
        Tell({.kind = ManagerWord::Kind::kPong}, Fd());
        break;
    }
  }
}

void ManagerProcess::BeginStop() {
  if (std::exchange(stopping_, true)) return;
  paused_ = false;
  resume_at_ = INT64_MAX;
  if (!setup_.listeners.inherited && setup_.listeners.pipe)
    AcceptHelpers(kBacklogMax);  // the kernel would drop what waits, without a trace
  while (!helpers_.empty()) {    // what they do not say now would come too late
    const int fd = helpers_.begin()->first;
    OnHelperReadable(fd);
    watched_.erase(fd);
    helpers_.erase(fd);
  }
  Unwatch(setup_.listeners.pipe);
  setup_.listeners.pipe.Reset();
  if (!keeper_) CloseCoredumpListener();  // else when he has left: he may be about to accept
  Feed(event::Stopping{});
}

/// Whoever else has a copy, after this nobody can connect to it, but to one that was inherited.
void ManagerProcess::CloseCoredumpListener() {
  if (!setup_.listeners.coredump) return;
  if (!setup_.listeners.inherited) {
    AcceptCoredumps(kBacklogMax);
    ::shutdown(setup_.listeners.coredump.get(), SHUT_RDWR);
    AcceptCoredumps(kBacklogMax);
  }
  Unwatch(setup_.listeners.coredump);
  setup_.listeners.coredump.Reset();
}

void RunManager(ManagerSetup setup) {
  auto poller = Poller::Create();
  if (!poller) {
    Log(Severity::kError, "the manager cannot begin: {}", poller.error().what);
    ::_exit(1);
  }
  ManagerProcess process(std::move(setup), std::move(*poller));
  (void)LockMemory();  // the supervisor says it if it cannot be
  if (const auto confined = ConfineManager(); !confined) {
    Log(Severity::kError, "the manager cannot be confined: {}", confined.error().what);
    ::_exit(1);
  }
  process.Run();
  ::_exit(0);
}

}  // namespace obit
