#include "server/supervisor.h"

#include <cerrno>
#include <csignal>

#include <sys/socket.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/try_twice.h"
#include "base/unix_socket.h"
#include "server/message_bytes.h"
#include "server/role_process.h"

namespace obit {
namespace {

/// Words that are read at once: what else there is to do has its turn.
constexpr int kWordsAtOnce = 64;
/// Connections held for each worker seat: captures of workers that were left behind are among them.
constexpr std::size_t kHeldPerSeat = 4;

}  // namespace

Supervisor::Supervisor(EventLoop& loop, Setup setup, Handler handler, ProgressBoard progress,
                       SharedCounts counts)
    : loop_(loop),
      setup_(std::move(setup)),
      handler_(std::move(handler)),
      progress_(std::move(progress)),
      counts_(std::move(counts)),
      seats_(setup_.times.seats) {}

Result<std::unique_ptr<Supervisor>> Supervisor::Create(EventLoop& loop, Setup setup, Handler handler) {
  ProgressBoard progress = OBIT_TRY(ProgressBoard::Create());
  SharedCounts counts = OBIT_TRY(SharedCounts::Create());
  std::unique_ptr<Supervisor> supervisor(
      new Supervisor(loop, std::move(setup), std::move(handler), std::move(progress), std::move(counts)));
  OBIT_TRY(supervisor->Begin());
  return supervisor;
}

Result<void> Supervisor::Begin() {
  counts_.get()->Start(setup_.ledger.tallies());
  OBIT_TRY(setup_.ledger.LetChildrenHaveIt(false));
  OBIT_TRY(setup_.ledger.door().LetChildrenHaveIt(false));
  SocketPair log = OBIT_TRY(MakeSocketPair(SOCK_DGRAM));
  log_in_ = std::move(log.first);
  log_out_ = std::move(log.second);
  SendLogTo(OBIT_TRY(Duplicate(log_in_)));
  children_ = OBIT_TRY(loop_.OnSignal(SIGCHLD, [this] { OnChildren(); }));
  SetCounts();
  OnChildren();  // an errand of the start may have ended before its signal was waited for; then fills
  return {};
}

Supervisor::~Supervisor() {
  for (auto& [pid, process] : seats_.processes()) Kill(process);
  SendLogTo(Fd());
}

void Supervisor::SetCounts() {
  seats_.SetCount(Role::kManager, 1);
  seats_.SetCount(Role::kClerk, clerk_is_done_ ? 0 : 1);
  seats_.SetCount(Role::kInspector, setup_.inspectors);
  seats_.SetCount(Role::kWorker, setup_.config.slots);
  seats_.SetCount(Role::kPump, setup_.config.slots);
}

void Supervisor::Configure(const Config& config, const std::string& text) {
  setup_.config = config;
  setup_.limits = LimitsOf(config);
  SetCounts();
  if (news_) news_->Send({.kind = SupervisorNews::Kind::kConfigure}, {}, text);
  Fill();
}

// Words of the manager.

void Supervisor::OnWords() {
  for (int i = 0; i < kWordsAtOnce && news_; ++i) {
    // A connection for which no descriptor was free is not held.
    auto message =
        ReceiveMessage(news_->socket(), sizeof(ManagerWord) + kReasonMax, MSG_DONTWAIT, LostFds::kTell);
    if (!message && (message.error().code == EAGAIN || IsShortage(message.error()))) return;
    if (!message && message.error().code == ECONNRESET) continue;
    if (const auto word = message ? HeadOf<ManagerWord>(*message) : std::nullopt) {
      if (word->kind == ManagerWord::Kind::kPattern)
        handler_.pattern(std::string(TextBehind<ManagerWord>(*message)));
      else
        OnWord(*word, std::move(message->fds));
      continue;
    }
    return LoseManager();  // it has ended, or says what no manager says
  }
}

/// A dead manager may have said that it came to accept, and what it had us hold until the last.
void Supervisor::TakeLastWords() {
  while (news_) {
    auto message = TryTwice([&] {
      return ReceiveMessage(news_->socket(), sizeof(ManagerWord) + kReasonMax, MSG_DONTWAIT, LostFds::kTell);
    });
    if (!message && message.error().code == ECONNRESET) continue;  // it left news unread
    const auto word = message ? HeadOf<ManagerWord>(*message) : std::nullopt;
    if (!word) return;
    if (word->kind == ManagerWord::Kind::kHold || word->kind == ManagerWord::Kind::kDrop ||
        word->kind == ManagerWord::Kind::kListening)
      OnWord(*word, std::move(message->fds));
  }
}

void Supervisor::OnWord(const ManagerWord& word, std::vector<Fd> fds) {
  switch (word.kind) {
    case ManagerWord::Kind::kListening:
      accepts_ = true;
      vain_managers_ = 0;
      if (!std::exchange(listening_, true)) handler_.listening();
      return;
    case ManagerWord::Kind::kHold:
      if (fds.size() == 1 && held_.size() < setup_.config.slots * kHeldPerSeat)
        held_[word.crash] = std::move(fds.front());
      return;
    case ManagerWord::Kind::kDrop:
      held_.erase(word.crash);
      return;
    case ManagerWord::Kind::kLeaveBehind:
      return LeaveBehind(word);
    case ManagerWord::Kind::kPong:
      asked_ = 0;
      return;
    case ManagerWord::Kind::kPattern:
      return;
    case ManagerWord::Kind::kStopped:
      if (phase_ == Phase::kStopping) EndManager();
      return;
  }
}

void Supervisor::LeaveBehind(const ManagerWord& word) {
  Process* process = seats_.At(word.role, word.index);
  if (process == nullptr || process->seat.generation != word.generation || word.role == Role::kManager)
    return;
  // The manager has this limit too, but knows nothing of those that an earlier one left behind. The seat is
  // filled once who sits there is dead; until then its crashes wait for other workers.
  if (const std::size_t left = seats_.left_behind(); left >= 2 * setup_.limits.left_behind)
    return Log(Severity::kWarning, "{} {} keeps its seat: {} processes are left behind already",
               NameOf(word.role), word.index, left);
  seats_.Leave(*process);
  Fill();
}

// The end.

/// Lets the processes go that captures hold.
void Supervisor::HangUp() {
  for (auto& [crash, connection] : held_) ::shutdown(connection.get(), SHUT_RDWR);
  held_.clear();
}

void Supervisor::Stop() {
  if (phase_ != Phase::kRunning) return;
  phase_ = Phase::kStopping;
  // No manager comes after this one, which has sockets of its own: once it has shut them down the kernel
  // connects to nobody, and no process that crashes waits for an answer. Who inherits these has the next
  // server answer.
  if (!setup_.listeners.inherited) setup_.listeners = {};
  if (!news_) return EndManager();
  news_->Send({.kind = SupervisorNews::Kind::kStop});
  auto end = loop_.After(setup_.config.stop_timeout + setup_.times.stop_grace, [this] { EndManager(); });
  if (end) end_ = std::move(*end);
}

/// It ends when its socket does, the clerk when the manager does, and the rest is killed.
void Supervisor::EndManager() {
  if (phase_ == Phase::kEnding || phase_ == Phase::kOver) return;
  phase_ = Phase::kEnding;
  HangUp();
  words_ = EventSource();
  news_.reset();
  for (auto& [pid, process] : seats_.processes()) process.expected = true;
  auto end = loop_.After(setup_.times.stop_clerk, [this] { KillAll(); });
  if (end) end_ = std::move(*end);
  if (seats_.At(Role::kClerk, 0) == nullptr && !ClerkWaits(MonotonicNow())) KillAll();
}

void Supervisor::KillAll() {
  phase_ = Phase::kOver;
  for (auto& [pid, process] : seats_.processes()) Kill(process);
  auto end = loop_.After(setup_.times.die, [this] { Finish(); });  // those that cannot die
  if (end) end_ = std::move(*end);
}

void Supervisor::Finish() {
  if (std::exchange(finished_, true)) return;
  end_ = EventSource();
  alarm_ = EventSource();
  SendLogTo(Fd());
  for (auto line = ReceiveLogLine(log_out_); line || line.error().code == EBADMSG;
       line = ReceiveLogLine(log_out_))
    if (line) (void)TryLogLine(line->severity, line->text);
  handler_.stopped(std::move(ended_));
}

}  // namespace obit
