#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "catalog/index.h"
#include "catalog/summary.h"
#include "process/event_loop.h"
#include "store/store.h"

namespace obit {

/// The index as the clerk keeps it. It is only a cache, so nothing waits for it: while another process holds
/// it, or it fails, rows are put off; one that is damaged is made anew, a day at a time, between other work.
/// A day that cannot be read keeps none of the others waiting: it is said once, and tried again by itself.
class ClerkIndex {
 public:
  /// `loop` and `store` outlive it.
  ClerkIndex(EventLoop& loop, const Store& store);

  /// Takes in crashes that were analysed or numbered, now or later.
  void Add(std::span<const CrashLocation> crashes);
  /// Takes in crashes that were committed, now or later.
  void AddCommitted(std::span<const CrashSummary> crashes);
  /// What the store holds, as far as the index knows; nothing: it cannot be asked now.
  [[nodiscard]] std::optional<StoreUse> Use();
  /// All crashes, after a look at all days that changed; nothing: it cannot be asked now.
  [[nodiscard]] std::optional<KeptCrashes> Kept();
  /// It said what is not so: makes it anew.
  void Distrust();
  /// Index::Unnumbered, as far as it can be asked now.
  [[nodiscard]] std::vector<CrashLocation> Unnumbered();

  /// For another process that writes.
  static constexpr std::chrono::milliseconds kPatience{50};
  /// Until the next try, doubled with each that fails.
  static constexpr std::chrono::milliseconds kPause{1000}, kPauseMax{60'000};

 private:
  void Work();
  [[nodiscard]] Result<void> WorkOnce();
  [[nodiscard]] bool has_work() const {
    return !index_ || damaged_ || !has_days_ || !put_off_.empty() || !days_.empty();
  }
  [[nodiscard]] Result<void> AddAllDays();
  [[nodiscard]] Result<void> AddSome();
  [[nodiscard]] Result<void> RefreshNewest();
  void PutOff(std::span<const CrashLocation> crashes);
  [[nodiscard]] bool PutOffIfUnreadable(const std::string& day);
  void TryDays();
  void TryLater(const Error& why);
  void WorkAfter(std::chrono::milliseconds pause);

  EventLoop& loop_;
  const Store& store_;
  std::optional<Index> index_;
  bool damaged_ = false, failing_ = false;
  bool has_days_ = false;              // those that a new index has to be compared with are in days_
  std::deque<CrashLocation> put_off_;  // not in the index yet
  std::set<std::string> days_;         // to be compared with their folders
  std::chrono::milliseconds pause_ = kPause;
  EventSource work_;

  std::set<std::string> unreadable_;  // days that were told of
  std::set<std::string> later_;       // those of them that wait for the next try
  std::chrono::milliseconds days_pause_ = kPause;
  EventSource days_work_;
};

}  // namespace obit
