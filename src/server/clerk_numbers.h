#pragma once

#include <chrono>
#include <deque>
#include <functional>

#include "base/fd.h"
#include "process/event_loop.h"
#include "server/clerk_index.h"
#include "store/commit.h"
#include "store/store.h"

namespace obit {

/// The numbers of crashes: ranges for the manager, which gives each crash one when it accepts it, and those
/// that crashes get with their commit.
class ClerkNumbers {
 public:
  /// Numbers in a range.
  static constexpr std::uint64_t kAtOnce = 4096;
  /// `give` takes each range that crashes may have from then on, in the place of the one before. `loop`,
  /// `store` and `index` outlive it.
  ClerkNumbers(EventLoop& loop, const Store& store, ClerkIndex& index,
               std::function<void(const Sequence::Range&)> give);

  /// Such a number is in the store already.
  void NotBelow(std::uint64_t number) { (void)numbers_.accepted.NotBelow(number); }
  /// Gives the first range, and goes on with what is unnumbered.
  void Start();
  /// A crash has this number: a range of which half is used is replaced.
  void Note(std::uint64_t number);
  /// True if a crash can have it: it was given, by this clerk or one before.
  [[nodiscard]] bool WasGiven(std::uint64_t number) const { return number <= numbers_.accepted.last(); }

  [[nodiscard]] Sequence& committed() { return numbers_.committed; }
  /// A crash was committed without a number, for `why`.
  void NumberLater(const CrashLocation& crash, const Error& why);
  /// Tries it now for all that wait for that.
  void NumberTheRest();

 private:
  void Give();
  void Watch();
  void OnFolderChanged();
  void ScheduleTheRest();

  EventLoop& loop_;
  const Store& store_;
  ClerkIndex& index_;
  std::function<void(const Sequence::Range&)> give_;
  StoreNumbers numbers_;
  Sequence::Range given_;
  bool started_ = false;
  unsigned busy_ = 0;  // tries that found another process taking numbers
  Fd changes_;         // inotify(7)
  EventSource changed_, again_, rest_;
  static constexpr std::chrono::milliseconds kSoon{200}, kMuchLater{60'000};
  std::chrono::milliseconds pause_ = kSoon;  // until the next try to number them
  std::deque<CrashLocation> unnumbered_;
};

}  // namespace obit
