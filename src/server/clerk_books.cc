#include "server/clerk_books.h"

#include <algorithm>
#include <utility>

#include "base/inside.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/signal_name.h"
#include "base/try_twice.h"
#include "capture/capture.h"
#include "catalog/summary.h"
#include "server/clerk_incoming.h"
#include "server/facts_record.h"
#include "store/access.h"
#include "store/commit.h"
#include "store/folder.h"
#include "store/prepared.h"

namespace obit {
namespace {

/// Orders that are tried again between two looks at new ones.
constexpr std::size_t kTriedAtOnce = 64;

/// What a worker wrote cannot be read, and will never be.
bool IsUnreadable(const Error& error) {
  return error.code == EBADMSG || error.code == EPROTONOSUPPORT || error.code == EPERM ||
         error.code == ELOOP || error.code == EXDEV;
}

}  // namespace

std::string WhoseCrash(const CrashRecord& record) {
  return fmt::format("{}[{}] {} of uid {}", record.process.comm, record.process.pid,
                     SignalName(record.signal.number),
                     record.process.uid ? std::to_string(*record.process.uid) : "?");
}

ClerkBooks::ClerkBooks(EventLoop& loop, const Store& store, ClerkNumbers& numbers, ClerkIndex& index,
                       Handler handler)
    : loop_(loop),
      store_(store),
      numbers_(numbers),
      index_(index),
      handler_(std::move(handler)),
      reserve_(store) {
  (void)reserve_.Fill();
}

void ClerkBooks::Take(BookOrder order) {
  bool safe = false;
  const CrashKey crash = order.crash;
  const auto done = TryWithReserve(order, safe);
  if (!done) return TakeFailed(std::move(order), safe, done.error());
  handler_.done(crash, true);
}

/// Others may take the room that is given back first: a second step is for that.
Result<void> ClerkBooks::TryWithReserve(BookOrder& order, bool& safe) {
  auto done = Try(order, safe);
  for (int steps = 0; steps < 2 && !done && IsFullDisk(done.error()) && reserve_.Give(); ++steps)
    done = Try(order, safe);
  return done;
}

/// `safe` is set once what is known of the crash is on the disk.
Result<void> ClerkBooks::Try(BookOrder& order, bool& safe) {
  const std::string id = TextIn(order.head.id);
  if (OBIT_TRY(FindCommitted(store_, id, order.head.time))) {
    safe = true;
    // A record without a core was committed meanwhile, and then a worker that was given up came to its end.
    auto late = OpenIncoming(store_, id);
    if (!late && late.error().code != ENOENT) return std::unexpected(std::move(late).error());
    if (order.kind != Order::Kind::kCommit || !late ||
        OBIT_TRY(LookAtLeft(*late)).state != LeftCrash::State::kComplete)
      return {};
    const std::string other = NewCrashId();
    OBIT_TRY(RenameIncoming(store_, id, other));
    Log(Severity::kNotice, "crash {} was committed without its core, which is kept as crash {}", id, other);
    SetText(order.head.id, other);
    order.head.number = 0;
  }
  if (order.kind != Order::Kind::kCommit) OBIT_TRY(Complete(order, safe));
  auto committed = Commit(order);
  if (!committed && committed.error().code == ENOENT &&
      !OBIT_TRY(FindCommitted(store_, id, order.head.time))) {
    order.kind = Order::Kind::kRecord;  // what a worker had stored is gone
    order.head.outcome = static_cast<std::uint32_t>(CrashOutcome::kFailed);
    order.reason = "what was captured of it is gone: " + committed.error().what;
    OBIT_TRY(Complete(order, safe));
    committed = Commit(order);
  }
  safe = true;
  return committed;
}

/// A record that the disk has not given for so many tries will not be given to anybody.
Result<LeftCrash::State> ClerkBooks::LookPatiently(const Fd& dir, BookOrder& order) {
  const auto left = LookAtLeft(dir);
  if (left) return left->state;
  if (IsShortage(left.error()) || ++order.unreadable < kUnreadableMax) return std::unexpected(left.error());
  return LeftCrash::State::kBegun;
}

/// Makes incoming/ID ready to be committed, which is all that is left to do then.
Result<void> ClerkBooks::Complete(BookOrder& order, bool& safe) {
  const std::string id = TextIn(order.head.id);
  CrashRecord record = MakeRecord(order.head, order.facts);
  if (order.kind == Order::Kind::kKeepWithoutCore) record.capture.outcome = CrashOutcome::kFailed;
  record.capture.reason = order.reason;
  auto found = order.kind == Order::Kind::kKeepWithoutCore
                   ? OpenIncoming(store_, id)
                   : OpenInside(store_.root(), "incoming/" + id, O_RDONLY | O_DIRECTORY);
  if (!found && found.error().code != ENOENT) return std::unexpected(found.error());
  if (found) {
    safe = safe || OBIT_TRY(LookPatiently(*found, order)) != LeftCrash::State::kNothing;
    if (order.head.owner_killed == 0) OBIT_TRY(LockFolder(*found, id));  // others may work on it
    if (OBIT_TRY(LookPatiently(*found, order)) != LeftCrash::State::kComplete)
      OBIT_TRY(WriteWithoutCore(*found, record));
  } else {
    OBIT_TRY(WriteWithoutCore(OBIT_TRY(store_.Begin(id)).dir, record));
  }
  safe = true;
  order.kind = Order::Kind::kCommit;
  return {};
}

Result<void> ClerkBooks::Commit(BookOrder& order) {
  const std::string id = TextIn(order.head.id);
  const Fd incoming = OBIT_TRY(OpenIncoming(store_, id));
  const CrashRecord record = OBIT_TRY(LoadForCommit(incoming, order));
  OBIT_TRY(Share(incoming, record));
  const Committed done = OBIT_TRY(CommitNumbered(store_, numbers_.committed(), record));
  CrashSummary& summary = committed_.emplace_back(Summarize(done.location, record));
  summary.commit_number = done.number;
  AddProgram(store_, record, summary);
  if (done.unnumbered) numbers_.NumberLater(done.location, *done.unnumbered);
  ScheduleSync();
  handler_.committed(summary, record, std::move(order.mapped), std::move(order.trace));
  return {};
}

/// A crash whose rights cannot be set is for root only: that it is there is worth more. Only what will soon
/// go well is waited for.
Result<void> ClerkBooks::Share(const Fd& dir, const CrashRecord& record) {
  auto shared = TryTwice([&] { return ShareCrash(dir, record); });
  if (!shared && IsFullDisk(shared.error()) && reserve_.Give()) shared = ShareCrash(dir, record);
  if (!shared && IsShortage(shared.error())) return std::unexpected(shared.error());
  if (!shared) {
    KeepForRoot(dir);
    Log(Severity::kWarning, "crash {}, {}, is for root only: {}", record.id, WhoseCrash(record),
        shared.error().what);
  } else if (!*shared && !std::exchange(said_no_acls_, true)) {
    Log(Severity::kWarning, "{} has no ACLs: crashes are for root and the group of the store only",
        store_.path());
  }
  return {};
}

/// The record as a worker wrote it, but for what the manager knows better: it is written again where that
/// differs, so that rights are never by what a worker says.
Result<CrashRecord> ClerkBooks::LoadForCommit(const Fd& dir, const BookOrder& order) {
  auto loaded = LoadRecord(dir, kRecordFile);
  if (!loaded && IsUnreadable(loaded.error())) {
    OBIT_TRY(ReplaceRecord(dir, MakeRecord(order.head, order.facts),
                           "its record could not be read: " + loaded.error().what));
    loaded = LoadRecord(dir, kRecordFile);
  }
  CrashRecord record = OBIT_TRY(std::move(loaded));
  const std::string id = TextIn(order.head.id);
  const bool renamed = record.id != id;
  record.id = id;
  if (renamed) record.number = 0;  // the crash that has that name has it already
  const bool changed =
      ApplyHead(order.head, record, [&](std::uint64_t number) { return numbers_.WasGiven(number); });
  if (changed || renamed) OBIT_TRY(WriteRecord(dir, record));
  for (const char* name : {kBegunFile, kMinimalFile}) ::unlinkat(dir.get(), name, 0);
  return record;
}

// What failed.

void ClerkBooks::TakeFailed(BookOrder order, bool safe, const Error& why) {
  const CrashKey crash = order.crash;
  const CrashRecord record = MakeRecord(order.head, order.facts);
  if (failed_.size() >= kFailedMax) {
    if (!safe) handler_.lost(record, why.what);
    if (safe && !std::exchange(said_full_, true))
      Log(Severity::kError,
          "too many crashes cannot be committed: the rest stays in {}/incoming until obitd "
          "starts again",
          store_.path());
    return handler_.done(crash, safe);
  }
  Log(Severity::kError, "crash {}, {}, cannot be committed yet: {}", record.id, WhoseCrash(record), why.what);
  if (safe) {  // it is known by what is on the disk
    order.facts.clear();
    order.mapped.Reset();
    order.trace.Reset();
  }
  failed_.push_back({std::move(order), safe});
  ScheduleRetry();
  // Else the manager has it still, and tells the next clerk if this one dies.
  if (safe) handler_.done(crash, true);
}

/// True: it is over.
bool ClerkBooks::TryAgain(Failed& failed) {
  bool safe = failed.answered;
  const CrashKey crash = failed.order.crash;
  const auto done = TryWithReserve(failed.order, safe);
  if ((done || safe) && !std::exchange(failed.answered, true)) handler_.done(crash, true);
  return done.has_value();
}

void ClerkBooks::TryAll() {
  retry_ = EventSource();
  bool any = false;
  for (std::size_t left = std::min(failed_.size(), kTriedAtOnce); left > 0; --left) {
    if (TryAgain(failed_.front())) {
      any = true;
      failed_.pop_front();
    } else {
      failed_.splice(failed_.end(), failed_, failed_.begin());
    }
  }
  pause_ = any ? kPause : std::min(pause_ * 2, kPauseMax);
  ScheduleRetry();
}

void ClerkBooks::ScheduleRetry() {
  if (failed_.empty()) pause_ = kPause;
  if (failed_.empty() || retry_) return;
  if (auto later = loop_.After(pause_, [this] { TryAll(); })) retry_ = std::move(*later);
}

void ClerkBooks::Finish() {
  retry_ = EventSource();
  for (Failed& failed : failed_) {
    if (TryAgain(failed) || failed.answered) continue;
    handler_.lost(MakeRecord(failed.order.head, failed.order.facts), "it could not be written to the end");
    handler_.done(failed.order.crash, false);
  }
  failed_.clear();
  Sync();
}

// Sync.

/// One sync for all that this turn of the loop commits: in a storm that is many.
void ClerkBooks::ScheduleSync() {
  if (sync_) return;
  if (auto later = loop_.After(std::chrono::nanoseconds(0), [this] { Sync(); })) sync_ = std::move(*later);
}

void ClerkBooks::Sync() {
  sync_ = EventSource();
  for (const CrashSummary& crash : committed_) unsynced_days_.insert(crash.location.day);
  std::erase_if(unsynced_days_, [this](const std::string& day) {
    const auto synced = store_.SyncDay(day);
    const bool failed = !synced && synced.error().code != ENOENT;
    if (failed) Log(Severity::kError, "{}", synced.error().what);
    return !failed;  // else with those of the next commit
  });
  index_.AddCommitted(std::exchange(committed_, {}));
  (void)reserve_.Fill();  // as soon as there is room again
}

}  // namespace obit
