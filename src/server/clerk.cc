#include "server/clerk.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "base/log.h"
#include "crash/report_json.h"
#include "kernel/core_pattern.h"
#include "server/clerk_announce.h"
#include "server/facts_record.h"

namespace obit {
namespace {

/// Orders that are taken between two looks at what else is to be done.
constexpr int kAtOnce = 64;
constexpr const char* kAbandoned = "obitd was stopped or killed while it captured";

bool IsKnown(const Order& order) { return order.kind <= Order::Kind::kStop; }

}  // namespace

Clerk::Clerk(EventLoop& loop, ClerkSetup setup)
    : loop_(loop),
      setup_(std::move(setup)),
      log_(loop, std::move(setup_.log)),
      index_(loop, setup_.store),
      numbers_(loop, setup_.store, index_,
               [this](const Sequence::Range& range) {
                 Say({.kind = ClerkWord::Kind::kNumbers, .first = range.first, .count = range.count});
               }),
      undead_(loop),
      analyses_(
          loop, setup_.store, undead_, setup_.analyzer, setup_.config,
          [this](const CrashLocation& crash, CrashOwner owner, JobUser user, const CrashHandling& handling,
                 const Report& report) { OnReport(crash, owner, user, handling, report); }),
      hooks_(loop, setup_.store, undead_, setup_.config,
             [this] {
               metrics_.Changed();
               StopIfDone();
             }),
      metrics_(loop, setup_.store, setup_.counts, [this](Metrics& metrics) { FillMetrics(metrics); }),
      repeats_(loop, setup_.store, setup_.ledger,
               [this](const std::string& id) { Say({.kind = ClerkWord::Kind::kKeptIsGone}, id); }),
      books_(
          loop, setup_.store, numbers_, index_,
          {.committed = [this](const CrashSummary& crash, const CrashRecord& record, Fd mapped,
                               Fd trace) { OnCommitted(crash, record, std::move(mapped), std::move(trace)); },
           .done = [this](CrashKey crash, bool kept) { OnDone(crash, kept); },
           .lost = [this](const CrashRecord& record, const std::string& why) { OnLost(record, why); }}),
      recovery_(
          loop, setup_.store, setup_.ledger, setup_.manager_generation,
          {.take = [this](BookOrder order) { books_.Take(std::move(order)); },
           .tell =
               [this](const std::string& id) { Say({.kind = ClerkWord::Kind::kAbandoned}, id, kAbandoned); },
           .saw_number = [this](std::uint64_t number) { numbers_.NotBelow(number); }}),
      retention_(loop, setup_.store, index_, setup_.config,
                 {.removed = [this](RetentionReason why, bool whole,
                                    std::uint64_t bytes) { OnRemoved(why, whole, bytes); },
                  .left = [this] { recovery_.LookForRemoved(); }},
                 {.users = setup_.user_ranges}),
      room_(loop, retention_, books_,
            [this](const DiskRoom& room) {
              Say({.kind = ClerkWord::Kind::kRoom,
                   .kept = room.has_records ? 1U : 0U,
                   .first = room.cores,
                   .count = room.free});
            }),
      pattern_(loop, setup_.sockets, ReadCorePattern,
               [this](const PatternWatch::State& now) { OnPattern(now); }) {
  metrics_.counts().total.Continue(setup_.manager_generation);
  metrics_.Enable(setup_.config.metrics);
}

Result<void> Clerk::Start() {
  recovery_.Start();
  repeats_.Start();
  books_.Sync();
  numbers_.Start();
  TellTraces();
  room_.Tell();
  Say({.kind = ClerkWord::Kind::kReady});
  analyses_.AddUnanalysed();
  TellWantsMapped();
  metrics_.Write();
  pattern_.Start();
  retention_.Start();
  orders_ = OBIT_TRY(loop_.OnReadable(setup_.manager, [this] { TakeOrders(); }));
  return {};
}

// Orders.

void Clerk::TakeOrders() {
  if (!TakeSome(kAtOnce)) return End();
  TellWantsMapped();
  TellTraces();
}

bool Clerk::TakeSome(int most) {
  for (; most > 0 && !ended_; --most) {
    auto message = ReceiveMessage(setup_.manager, kMessageMax, MSG_DONTWAIT, LostFds::kTell);
    if (!message && (message.error().code == EAGAIN || IsShortage(message.error()))) return true;
    // The manager died with words unread. That is said once, before the orders that it had sent.
    if (!message && message.error().code == ECONNRESET) continue;
    if (!message && message.error().code != EMSGSIZE) return false;
    if (message && message->bytes.empty() && message->fds.empty()) return false;  // the manager is gone
    if (message)
      OnMessage(std::move(*message));
    else
      Log(Severity::kError, "an order of the manager is too large: {}", message.error().what);
  }
  return true;
}

void Clerk::OnMessage(Message message) {
  if (message.lost_fds && !std::exchange(said_lost_fds_, true))
    Log(Severity::kWarning,
        "the clerk has too many files open: crashes are analysed without the files that they had mapped");
  if (!message.fds.empty()) said_lost_fds_ = false;
  Order order;
  if (message.bytes.size() < sizeof order)
    return Log(Severity::kError, "an order of the manager is too short");
  std::memcpy(&order, message.bytes.data(), sizeof order);
  if (!IsKnown(order)) return Log(Severity::kError, "an order of the manager is of no known kind");
  const auto text = std::span(message.bytes).subspan(sizeof order);
  OnOrder(order, {reinterpret_cast<const char*>(text.data()), text.size()}, std::move(message.fds));
}

void Clerk::OnOrder(const Order& order, std::string_view text, std::vector<Fd> fds) {
  switch (order.kind) {
    case Order::Kind::kRecord:
    case Order::Kind::kCommit:
    case Order::Kind::kKeepWithoutCore:
      return OnBookOrder(order, text, std::move(fds));
    case Order::Kind::kRepeats:
      return OnRepeats(order);
    case Order::Kind::kCount:
      return OnCount(order, text);
    case Order::Kind::kLost:
      Log(Severity::kError, "{}", text);
      return NoteLostTold();
    case Order::Kind::kLoad:
      return OnLoad(order.load);
    case Order::Kind::kDiscard:
      fds.clear();
      return Say({.kind = ClerkWord::Kind::kDiscarded});
    case Order::Kind::kAskRoom:
      return room_.Tell();
    case Order::Kind::kHoldJobs:
      analyses_.Hold(order.held != 0);
      return hooks_.Hold(order.held != 0);
    case Order::Kind::kConfigure:
      return OnConfigure(text);
    case Order::Kind::kStop:
      return Stop();
  }
}

void Clerk::OnBookOrder(const Order& order, std::string_view text, std::vector<Fd> fds) {
  BookOrder taken{.kind = order.kind, .crash = order.crash, .head = order.head};
  if (fds.size() == (order.has_mapped != 0 ? 1U : 0U) + (order.has_trace != 0 ? 1U : 0U)) {
    if (order.has_mapped != 0) taken.mapped = std::move(fds.front());
    if (order.has_trace != 0) taken.trace = std::move(fds.back());
  }
  const std::string id = TextIn(order.head.id);
  if (!IsCrashId(id) || order.reason_bytes > text.size()) {
    Log(Severity::kError, "an order of the manager makes no sense: it is of crash \"{}\"", id);
    return OnDone(order.crash, false);
  }
  taken.reason = text.substr(text.size() - order.reason_bytes);
  taken.facts = text.substr(0, text.size() - order.reason_bytes);
  if (taken.head.has_uid == 0) recovery_.FillIn(taken);
  numbers_.Note(taken.head.number);
  books_.Take(std::move(taken));
}

void Clerk::OnConfigure(std::string_view text) {
  auto config = ParseConfig(text, "the configuration");
  if (!config) return Log(Severity::kError, "{}", config.error().what);
  setup_.config = *config;
  analyses_.Reconfigure(*config);
  hooks_.Reconfigure(*config);
  retention_.Reconfigure(*config);
  room_.Changed();
  metrics_.Enable(config->metrics);
  metrics_.Changed();
}

// What comes of them.

void Clerk::OnCommitted(const CrashSummary& summary, const CrashRecord& record, Fd mapped, Fd trace) {
  const CrashLocation& crash = summary.location;
  metrics_.counts().CountCrash(record);
  metrics_.Changed();
  AnnounceCrash(setup_.store, crash, record, setup_.config.journal);
  const CrashHandling& handling = record.capture.handling;
  if (handling.hooks.value_or(true)) hooks_.Add(HookEvent::kCrash, crash, record.process.uid);
  repeats_.OnCommitted(crash.id);
  retention_.Added(KeptOf(summary));
  if (!record.files.core.empty()) {
    analyses_.Add(crash, OwnerOf(record), record.process.uid, std::move(mapped), handling);
  } else if (trace) {
    analyses_.AddTrace(crash, OwnerOf(record), record.process.uid, std::move(mapped), std::move(trace),
                       handling);
    TellTraces();  // before the order is done: what is open is known all the while
  }
}

void Clerk::OnDone(CrashKey crash, bool kept) {
  room_.Changed();
  if (recovery_.OnDone(crash)) return;
  Say({.kind = ClerkWord::Kind::kDone, .kept = kept ? 1U : 0U, .crash = crash});
}

void Clerk::OnRemoved(RetentionReason why, bool whole, std::uint64_t bytes) {
  room_.Changed();
  MetricCounts& total = metrics_.counts().total;
  ++(whole ? total.removed_crashes : total.removed_cores)[static_cast<std::size_t>(why)];
  total.removed_bytes += bytes;
  metrics_.Changed();
}

/// Not even a record: the log line is all that remains, so it has what is known.
void Clerk::OnLost(const CrashRecord& record, const std::string& why) {
  ++metrics_.counts().total.lost;
  metrics_.Changed();
  Log(Severity::kError, "crash not recorded: {}, {}: {}", WhoseCrash(record), record.process.exe, why);
}

void Clerk::OnReport(const CrashLocation& crash, CrashOwner owner, JobUser user,
                     const CrashHandling& handling, const Report& report) {
  metrics_.counts().CountReport(report);
  metrics_.Changed();
  TellTraces();
  AnnounceReport(setup_.store, crash, owner, report, setup_.config.journal);
  if (handling.hooks.value_or(true)) hooks_.Add(HookEvent::kReport, crash, user);
  index_.Add(std::span(&crash, 1));
  retention_.Added({.record_bytes = ReportToJson(report).size()});
}

void Clerk::OnPattern(const PatternWatch::State& now) {
  metrics_.counts().pattern_ours = now.ours;
  metrics_.Changed();
  Say({.kind = ClerkWord::Kind::kPattern, .count = now.ours ? 1U : 0U}, {}, now.text);
  if (now.news) Log(now.ours ? Severity::kNotice : Severity::kWarning, "{}", now.text);
}

void Clerk::FillMetrics(Metrics& metrics) {
  metrics.total.analyses_dropped.now = analyses_.dropped();
  metrics.total.hook_runs.now = hooks_.counters().runs;
  metrics.total.hook_failures.now = hooks_.counters().failures;
  metrics.total.hook_events_dropped.now = hooks_.counters().dropped;
  metrics.total.log_dropped.now = log_.dropped();
  if (const auto use = index_.Use()) metrics.store = *use;
  metrics.store_limit_bytes = retention_.limit_bytes();
  TellWantsMapped();  // analyses have ended since
  TellTraces();
}

}  // namespace obit
