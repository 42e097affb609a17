#include "server/intake.h"

#include <array>
#include <bit>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "capture/capture.h"
#include "capture/facts.h"
#include "capture/handshake.h"
#include "kernel/core_pattern.h"
#include "kernel/version.h"
#include "policy/decide.h"
#include "server/crash_site.h"

namespace obit {
namespace {

CrashRecord::Host ThisHost() {
  CrashRecord::Host host;
  host.kernel = KernelRelease();
  if (const auto name = ReadFile("/proc/sys/kernel/hostname", 256)) host.name = Trim(name->text);
  if (const auto boot = ReadFile("/proc/sys/kernel/random/boot_id", 64)) host.boot_id = Trim(boot->text);
  return host;
}

/// Connections that are taken before the loop goes round; and those that a backlog may hold.
constexpr int kAtOnce = 64, kBacklogMax = 8192;

/// One connection that waits, or nothing if none does.
Fd AcceptOne(const Fd& listener) {
  for (;;) {
    Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection || (errno != EINTR && errno != ECONNABORTED)) return connection;
  }
}

}  // namespace

/// Somebody of whom it is not known yet what he wants here.
struct Intake::Visitor {
  Fd connection;
  Error why;  // that he is not the kernel
  EventSource readable, timeout;
};

/// A crash on its way from accept to a decision.
struct Intake::Pending {
  Arrival arrival;
  Handshake handshake;
  Decision decision;
  bool repeat = false;  // one more of a crash loop
  EventSource readable, timeout;
};

Intake::Intake(EventLoop& loop, Listeners listeners, const Config& config, PeerInspector& inspector,
               Sequence& numbers, Handler handler)
    : loop_(loop),
      listeners_(std::move(listeners)),
      config_(config),
      inspector_(inspector),
      numbers_(numbers),
      handler_(std::move(handler)),
      host_(ThisHost()) {}

Intake::~Intake() = default;

Result<void> Intake::Listen() {
  coredumps_ = OBIT_TRY(loop_.OnReadable(listeners_.coredump, [this] { AcceptCoredumps(kAtOnce); }));
  if (listeners_.pipe)
    helpers_ = OBIT_TRY(loop_.OnReadable(listeners_.pipe, [this] { AcceptHelpers(kAtOnce); }));
  return {};
}

void Intake::StopListening() {
  if (!listeners_.inherited) {  // the kernel would drop what waits, without a trace
    AcceptCoredumps(kBacklogMax);
    if (listeners_.pipe) AcceptHelpers(kBacklogMax);
  }
  coredumps_ = EventSource();
  helpers_ = EventSource();
  listeners_ = {};
}

void Intake::CountRefused(const Error& why) {
  ++counters_.refused;
  if (!std::has_single_bit(counters_.refused)) return;  // 1, 2, 4, 8, ...: a flood must not fill the log
  Log(Severity::kNotice, "closed a connection that is not of the kernel ({} so far): {}", counters_.refused,
      why.what);
}

/// Root and this user may look who listens here (obit status, enable, doctor): who goes without a byte is no
/// stranger. Few are waited for: everything else is told at once.
void Intake::RefuseUnlessVisitor(Fd connection, Error why) {
  constexpr std::size_t kVisitorsMax = 8;
  constexpr std::chrono::seconds kVisitMax{1};
  const auto credentials = PeerCredentials(connection);
  if (!credentials || (credentials->uid != 0 && credentials->uid != ::geteuid()) ||
      visitors_.size() >= kVisitorsMax)
    return CountRefused(why);
  const std::uint64_t id = next_visitor_++;
  auto readable = loop_.OnReadable(connection, [this, id] { OnVisitor(id); });
  auto timeout = loop_.After(kVisitMax, [this, id] { OnVisitor(id); });
  if (!readable || !timeout) return CountRefused(why);
  visitors_.emplace(
      id, Visitor{std::move(connection), std::move(why), std::move(*readable), std::move(*timeout)});
}

void Intake::OnVisitor(std::uint64_t id) {
  const auto visitor = visitors_.extract(id);
  if (visitor.empty()) return;
  std::byte first{};
  if (::recv(visitor.mapped().connection.get(), &first, 1, MSG_DONTWAIT) == 0)
    ++counters_.visits;
  else
    CountRefused(visitor.mapped().why);
}

Intake::Pending* Intake::Add(Fd connection) {
  auto owned = std::make_unique<Pending>();
  Pending* pending = owned.get();
  pending->arrival.connection = std::move(connection);
  pending->arrival.accepted = MonotonicNow();
  pending->arrival.record.id = NewCrashId();
  pending->arrival.record.time = RealtimeNow();
  pending->arrival.record.host = host_;
  pending_.emplace(pending, std::move(owned));
  return pending;
}

/// Looks at no disk, unless another process took numbers meanwhile (obit import).
std::uint64_t Intake::NextNumber() {
  const auto number = numbers_.Take();
  if (number) return *number;
  SayWithoutFile(number.error());
  return numbers_.TakeUnwritten();
}

/// After all that wait were answered.
void Intake::Refill() {
  if (const auto refilled = numbers_.Refill())
    said_without_file_ = false;
  else
    SayWithoutFile(refilled.error());
}

/// Once each time: a full disk must not fill the log.
void Intake::SayWithoutFile(const Error& why) {
  if (why.code != EBUSY && !std::exchange(said_without_file_, true)) Log(Severity::kWarning, "{}", why.what);
}

Arrival Intake::Remove(Pending& pending) {
  Arrival arrival = std::move(pending.arrival);
  pending_.erase(&pending);
  return arrival;
}

void Intake::StopWaiting(Pending& pending) {
  pending.readable = EventSource();
  pending.timeout = EventSource();
}

/// Calls `next` whenever the connection has bytes or ends, until StopWaiting; the timeout counts from the
/// first call.
void Intake::Await(Pending& pending, void (Intake::*next)(Pending&)) {
  if (pending.readable) return;
  auto readable =
      loop_.OnReadable(pending.arrival.connection, [this, &pending, next] { (this->*next)(pending); });
  auto timeout = loop_.After(kExchangeTimeout, [this, &pending] { OnTimeout(pending); });
  if (!readable || !timeout)
    return EndAsRecord(pending, CrashOutcome::kFailed, (readable ? timeout : readable).error().what);
  pending.readable = std::move(*readable);
  pending.timeout = std::move(*timeout);
}

void Intake::OnTimeout(Pending& pending) {
  if (pending.arrival.record.process.pid != 0)
    return EndAsRecord(pending, CrashOutcome::kFailed, "the exchange with the kernel stood still");
  CountRefused(Error{ETIMEDOUT, "a helper that names no crash"});
  (void)Remove(pending);
}

/// `reason` by value: it may be part of `pending`, which ends here.
void Intake::EndAsRecord(Pending& pending, CrashOutcome outcome, std::string reason) {
  if (pending.repeat) return EndAsCounted(pending);  // it is, already
  Arrival arrival = Remove(pending);
  ReleaseConnection(arrival.connection);
  arrival.record.capture.held_seconds = static_cast<double>(MonotonicNow() - arrival.accepted) / 1e9;
  arrival.record.capture.outcome = outcome;
  arrival.record.capture.reason = std::move(reason);
  handler_.record(std::move(arrival.record));
}

void Intake::EndAsCounted(Pending& pending) {
  const bool repeat = pending.repeat;
  const Arrival arrival = Remove(pending);
  if (repeat) return handler_.repeated();
  loops_.Forget(arrival.record.id);
  handler_.rejected(arrival.record);
}

/// Takes many pending connections at once, so that the kernel's backlog never fills; not all, so that who
/// connects again and again does not keep the loop from those that were taken.
void Intake::AcceptCoredumps(int most) {
  while (most-- > 0) {
    Fd connection = AcceptOne(listeners_.coredump);
    if (!connection) break;
    auto peer = inspector_.Identify(connection);
    if (!peer) {
      RefuseUnlessVisitor(std::move(connection), std::move(peer).error());
      continue;
    }
    ++counters_.crashes;
    Pending* pending = Add(std::move(connection));
    pending->arrival.record.capture.transport =
        NameOf(Transport::kSocketRequest);  // until the first bytes say else
    pending->arrival.peer = std::move(*peer);
    Inspect(*pending, 0);
    OnRequest(*pending);
  }
  Refill();
}

void Intake::AcceptHelpers(int most) {
  while (most-- > 0) {
    Fd connection = AcceptOne(listeners_.pipe);
    if (!connection) break;
    const auto credentials = PeerCredentials(connection);
    if (!credentials || (credentials->uid != 0 && credentials->uid != ::geteuid())) {
      CountRefused(Error{EPERM, "it is not obit-pipe, started by the kernel"});
      continue;
    }
    Pending* pending = Add(std::move(connection));
    pending->arrival.is_socket = false;
    pending->arrival.record.capture.transport = NameOf(Transport::kPipe);
    OnHelperMessage(*pending);
  }
  Refill();
}

void Intake::OnHelperMessage(Pending& pending) {
  auto received = ReceiveMessage(pending.arrival.connection, sizeof(PipeMessage), 0);
  if (!received && received.error().code == EAGAIN) return Await(pending, &Intake::OnHelperMessage);
  if (received && received->bytes.empty() && received->fds.empty()) {  // see RefuseUnlessVisitor
    ++counters_.visits;
    (void)Remove(pending);
    return;
  }
  PipeMessage message;
  const std::size_t fds = received ? received->fds.size() : 0;
  if (!received || received->bytes.size() != sizeof message || fds < 1 || fds > 2) {
    CountRefused(received ? Error{EBADMSG, "a message that is not of obit-pipe"} : received.error());
    (void)Remove(pending);
    return;
  }
  std::memcpy(&message, received->bytes.data(), sizeof message);
  if (message.version != PipeMessage::kVersion || message.pid <= 0 ||
      (message.has_pidfd != 0) != (fds == 2)) {
    CountRefused(Error{EPROTO, "obit-pipe is of another version than obitd"});
    (void)Remove(pending);
    return;
  }
  auto peer = inspector_.IdentifyPiped(fds == 2 ? std::move(received->fds[1]) : Fd(), message.pid);
  if (!peer && peer.error().code == EPERM) {
    CountRefused(peer.error());
    (void)Remove(pending);
    return;
  }
  ++counters_.crashes;
  StopWaiting(pending);
  pending.arrival.connection = std::move(received->fds[0]);
  ::fcntl(pending.arrival.connection.get(), F_SETFL, O_NONBLOCK);
  CrashRecord& record = pending.arrival.record;
  record.process.pid = message.pid;
  record.thread.tid = message.tid;
  if (peer) {
    if (message.dump_mode == 2) peer->info.dump_mode = DumpMode::kRoot;
    // The kernel before 6.16 tells it by %d alone.
    if (message.dump_mode == 1 && peer->info.dump_mode == DumpMode::kUnknown)
      peer->info.dump_mode = DumpMode::kUser;
    pending.arrival.peer = std::move(*peer);
    Inspect(pending, message.signal);
  } else {
    record.signal.number = message.signal;
    record.process.privileged = true;  // nothing proves whose it was
    record.number = NextNumber();
  }
  record.process.core_limit = message.core_limit;
  DecideAndAnswer(pending);
}

/// Looks at little of the process: a loop crashes thousands of times a second. Where little does not tell,
/// the crash is kept.
bool Intake::IsRepeat(const Pending& pending) {
  if (config_.loop_crashes == 0) return false;
  const auto place = inspector_.PlaceOf(pending.arrival.peer);
  if (!place) return false;
  auto site = SiteOf(pending.arrival.peer.info, *place);
  if (!site) return false;
  const CrashRecord& record = pending.arrival.record;
  const auto verdict = loops_.Judge({.id = record.id,
                                     .time = record.time,
                                     .site = std::move(*site),
                                     .started = place->started,
                                     .now = BoottimeNow()},
                                    config_);
  if (verdict == CrashLoops::Verdict::kLoopBegins)
    Log(Severity::kNotice,
        "{}[{}] {}: a crash loop: from now on one each {} s is kept, the others are counted",
        place->facts.comm, record.process.pid, SignalName(*place->facts.signal),
        config_.loop_interval.count());
  return verdict != CrashLoops::Verdict::kKeep;
}

/// Fills the record from /proc, before any answer: the process stands still until then.
void Intake::Inspect(Pending& pending, int known_signal) {
  const Peer& peer = pending.arrival.peer;
  CrashRecord& record = pending.arrival.record;
  record.process.pid = peer.info.pid;
  pending.repeat = IsRepeat(pending);
  if (pending.repeat) return;
  record.number = NextNumber();
  const auto facts = inspector_.Inspect(peer);
  if (facts) ApplyProcessFacts(*facts, record);
  if (auto exe = inspector_.Program(peer)) pending.arrival.exe = std::move(*exe);
  if (known_signal != 0) record.signal.number = known_signal;
  if (peer.info.signal) record.signal.number = *peer.info.signal;
  if (peer.info.code) record.signal.code = peer.info.code;
  record.process.privileged = !facts || IsPrivileged(peer.info, *facts);
}

/// Reads the kernel's request, or finds a core at once ("@").
void Intake::OnRequest(Pending& pending) {
  Arrival& arrival = pending.arrival;
  const auto state = [&] { return pending.handshake.state(); };
  while (state() == Handshake::State::kRequest) {
    std::array<std::byte, kCoredumpRequestMax> bytes{};
    std::span<std::byte> room = std::span(bytes).first(pending.handshake.wanted());
    const bool first = room.size() == 4 && !arrival.offer;
    const ssize_t n =
        ::recv(arrival.connection.get(), room.data(), room.size(), MSG_DONTWAIT | (first ? MSG_PEEK : 0));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return Await(pending, &Intake::OnRequest);
    if (n <= 0)
      return EndAsRecord(pending, CrashOutcome::kFailed, "the process was gone before its dump began");
    if (first && n == 4 && BeginsElf(std::span(bytes).first<4>())) {
      arrival.record.capture.transport = NameOf(Transport::kSocket);
      return DecideAndAnswer(pending);
    }
    // What was only looked at is taken now; it is there, so this cannot come short.
    if (first) (void)::recv(arrival.connection.get(), room.data(), static_cast<std::size_t>(n), MSG_DONTWAIT);
    if (const auto taken = pending.handshake.Receive(room.first(static_cast<std::size_t>(n))); !taken)
      return EndAsRecord(pending, CrashOutcome::kFailed, taken.error().what);
  }
  arrival.offer = pending.handshake.request();
  DecideAndAnswer(pending);
}

void Intake::DecideAndAnswer(Pending& pending) {
  StopWaiting(pending);
  Arrival& arrival = pending.arrival;
  pending.decision = pending.repeat ? Decision{.detail = Detail::kReject} : Decide(arrival.record, config_);
  arrival.record.capture.detail = pending.decision.detail;
  arrival.core_max = pending.decision.core_max;
  if (pending.decision.detail == Detail::kFull || pending.decision.detail == Detail::kMinimal)
    return handler_.capture(Remove(pending));
  if (!arrival.offer) {  // "@" and the pipe know no answer: closing ends the dump
    if (pending.decision.detail == Detail::kReject) return EndAsCounted(pending);
    return EndAsRecord(pending, CrashOutcome::kEvent, pending.decision.reason);
  }
  const auto ack = pending.handshake.Answer(pending.decision.detail);
  if (!ack) return EndAsRecord(pending, CrashOutcome::kFailed, ack.error().what);
  if (::send(arrival.connection.get(), &*ack, sizeof *ack, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof *ack)
    return EndAsRecord(pending, CrashOutcome::kFailed, "the process was gone before its dump began");
  OnMark(pending);
}

/// Only after its mark has the kernel noted what was asked for: closing earlier would take WCOREDUMP from the
/// parent.
void Intake::OnMark(Pending& pending) {
  while (pending.handshake.state() == Handshake::State::kMark) {
    std::array<std::byte, sizeof(CoredumpMark)> mark{};
    const auto room = std::span(mark).first(pending.handshake.wanted());
    const ssize_t n = ::recv(pending.arrival.connection.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return Await(pending, &Intake::OnMark);
    if (n <= 0) break;
    if (!pending.handshake.Receive(room.first(static_cast<std::size_t>(n)))) break;
  }
  if (pending.handshake.state() == Handshake::State::kRefused)
    return EndAsRecord(pending, CrashOutcome::kFailed,
                       fmt::format("the kernel refused the answer: {}", Describe(pending.handshake.mark())));
  if (pending.decision.detail == Detail::kReject) return EndAsCounted(pending);
  EndAsRecord(pending, CrashOutcome::kEvent, pending.decision.reason);
}

}  // namespace obit
