#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"
#include "process/event_loop.h"
#include "server/clerk_incoming.h"
#include "server/clerk_index.h"
#include "server/clerk_numbers.h"
#include "server/messages.h"
#include "store/reserve.h"
#include "store/store.h"

namespace obit {

/// What is to come of a crash: Order::kRecord, kCommit or kKeepWithoutCore.
struct BookOrder {
  Order::Kind kind = Order::Kind::kRecord;
  CrashKey crash = 0;
  RecordHead head;
  std::string facts, reason;
  Fd mapped, trace;    ///< for the analysis; may be empty
  int unreadable = 0;  ///< so often its record could not be read, for a fault of the disk
};

/// The store's books: crashes are recorded, get their rights and numbers, and are moved to where readers see
/// them. Each order may come more than once. One that fails is tried again until it works: what is in
/// incoming/ meanwhile is not touched by its failure, and is there for the next clerk.
class ClerkBooks {
 public:
  struct Handler {
    /// A crash was committed.
    std::function<void(const CrashSummary&, const CrashRecord&, Fd mapped, Fd trace)> committed;
    /// The order is over; `kept`: the crash has a record, or will have one by what is on the disk.
    std::function<void(CrashKey, bool kept)> done;
    /// The crash has no record and will have none.
    std::function<void(const CrashRecord&, const std::string& why)> lost;
  };
  /// Orders that are tried again, at most. Beyond it, what is on the disk is left for the next start.
  static constexpr std::size_t kFailedMax = 4096;
  static constexpr std::chrono::milliseconds kPause{1000}, kPauseMax{60'000};
  /// Tries to read a record that the disk does not give, before one takes its place that says so.
  static constexpr int kUnreadableMax = 5;

  /// All that is given outlives it.
  ClerkBooks(EventLoop& loop, const Store& store, ClerkNumbers& numbers, ClerkIndex& index, Handler handler);

  void Take(BookOrder order);
  /// Puts what was committed on the disk and into the index.
  void Sync();
  /// The last try of what failed.
  void Finish();
  /// Orders that are to be tried again.
  [[nodiscard]] std::size_t failed() const { return failed_.size(); }

 private:
  struct Failed {
    BookOrder order;
    bool answered = false;
  };

  [[nodiscard]] Result<void> TryWithReserve(BookOrder& order, bool& safe);
  [[nodiscard]] Result<void> Try(BookOrder& order, bool& safe);
  [[nodiscard]] static Result<LeftCrash::State> LookPatiently(const Fd& dir, BookOrder& order);
  [[nodiscard]] Result<void> Complete(BookOrder& order, bool& safe);
  [[nodiscard]] Result<void> Commit(BookOrder& order);
  [[nodiscard]] Result<void> Share(const Fd& dir, const CrashRecord& record);
  [[nodiscard]] Result<CrashRecord> LoadForCommit(const Fd& dir, const BookOrder& order);
  void TakeFailed(BookOrder order, bool safe, const Error& why);
  [[nodiscard]] bool TryAgain(Failed& failed);
  void TryAll();
  void ScheduleRetry();
  void ScheduleSync();

  EventLoop& loop_;
  const Store& store_;
  ClerkNumbers& numbers_;
  ClerkIndex& index_;
  Handler handler_;
  Reserve reserve_;
  std::list<Failed> failed_;
  std::chrono::milliseconds pause_ = kPause;
  std::vector<CrashSummary> committed_;  // neither synced nor in the index yet
  std::set<std::string> unsynced_days_;
  EventSource retry_, sync_;
  bool said_no_acls_ = false, said_full_ = false;
};

/// "firefox[123] SIGSEGV of uid 1000": whose crash it is, for the log.
[[nodiscard]] std::string WhoseCrash(const CrashRecord& record);

}  // namespace obit
