#include "server/clerk_repeats.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "server/clerk_incoming.h"

namespace obit {
namespace {

/// A crash that is kept may take so long until it is committed, ns: it is in the queue, captured, stored. One
/// that nobody has seen committed after that was removed.
constexpr std::int64_t kUntilCommitted = 1'800'000'000'000;
/// Crashes that are known to have been committed, at most.
constexpr std::size_t kCommittedMax = 8192;

}  // namespace

ClerkRepeats::ClerkRepeats(EventLoop& loop, const Store& store, Ledger* ledger,
                           std::function<void(const std::string&)> gone)
    : loop_(loop), store_(store), ledger_(ledger), gone_(std::move(gone)), begun_(RealtimeNow()) {}

void ClerkRepeats::Start() {
  if (ledger_ == nullptr) return;
  for (RepeatsOfKept& count : ledger_->UnstoredRepeats()) Add(std::move(count));
}

void ClerkRepeats::Add(RepeatsOfKept count) {
  counts_.insert_or_assign(count.repeats.id, std::move(count));
  Schedule(kPause);
}

void ClerkRepeats::OnCommitted(const std::string& id) {
  if (committed_.size() >= kCommittedMax) committed_.clear();
  committed_.insert(id);
  if (counts_.contains(id)) Schedule(kPause);
}

void ClerkRepeats::Schedule(std::chrono::seconds pause) {
  if (write_) return;
  if (auto later = loop_.After(pause, [this] { Write(kAtOnce); })) write_ = std::move(*later);
}

void ClerkRepeats::Stored(const Repeats& repeats) {
  if (ledger_ != nullptr) ledger_->RepeatsStored(repeats);
}

/// A crash from before this clerk is in the ledger, or in incoming/, as long as it is on its way: else it has
/// been removed since, as by obit rm.
bool ClerkRepeats::MayStillCome(const RepeatsOfKept& count) const {
  const std::string& id = count.repeats.id;
  if (committed_.contains(id) || RealtimeNow() - count.kept_time >= kUntilCommitted) return false;
  if (ledger_ == nullptr || count.kept_time >= begun_ || ledger_->IsOpen(id)) return true;
  const auto incoming = OpenIncoming(store_, id);
  return incoming || incoming.error().code != ENOENT;
}

/// The owner can do that again and again.
void ClerkRepeats::SayRefused(const std::string& id, const Error& why) {
  if (refused_.size() >= kCommittedMax) refused_.clear();
  if (refused_.insert(id).second) Log(Severity::kWarning, "{}: they are not counted any more", why.what);
}

/// Each in its turn. A try that fails costs as much as one that does not.
void ClerkRepeats::Write(std::size_t most, std::int64_t until) {
  write_ = EventSource();
  bool failed = false, any = false;
  auto next = counts_.upper_bound(written_);
  for (std::size_t left = counts_.size(); left > 0 && most > 0 && MonotonicNow() < until; --left) {
    if (next == counts_.end()) next = counts_.begin();
    const Repeats& repeats = next->second.repeats;
    const auto written = store_.WriteRepeats({FormatDay(next->second.kept_time), repeats.id}, repeats);
    const bool missing = !written && (written.error().code == ENOENT || written.error().code == EPERM);
    written_ = next->first;
    if (missing && MayStillCome(next->second)) {
      ++next;  // OnCommitted comes back to it
      continue;
    }
    --most;
    if (!written && !missing && !IsInTheWay(written.error())) {  // as on a disk that is full
      if (!std::exchange(failed, true) && pause_ == kPause)
        Log(Severity::kWarning, "{}", written.error().what);
      ++next;
      continue;
    }
    any = true;
    Stored(repeats);
    if (written) {
      OnCommitted(repeats.id);
    } else if (!missing) {
      SayRefused(repeats.id, written.error());
    } else {
      Log(Severity::kNotice, "{} more crashes like {}, which is not in the store, were counted",
          repeats.crashes, repeats.id);
      gone_(repeats.id);
    }
    next = counts_.erase(next);
  }
  if (failed || (most == 0 && !counts_.empty())) Schedule(any ? kPause : pause_);
  pause_ = failed ? std::min(pause_ * 2, kPauseMax) : kPause;
}

void ClerkRepeats::Finish() {
  Write(kAtEnd, MonotonicNow() + std::chrono::nanoseconds(kTimeAtEnd).count());
  write_ = EventSource();
  for (const auto& [id, count] : counts_)
    Log(Severity::kNotice, "{} more crashes like {} were counted, without a note in the store",
        count.repeats.crashes, id);
}

}  // namespace obit
