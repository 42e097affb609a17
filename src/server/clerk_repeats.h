#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "policy/crash_sites.h"
#include "process/event_loop.h"
#include "server/ledger.h"
#include "store/store.h"

namespace obit {

/// What crash loops repeated, on its way beside the crashes that it came after.
class ClerkRepeats {
 public:
  /// So many are tried each second, and at the end, for so long there: each costs a sync.
  static constexpr std::size_t kAtOnce = 16, kAtEnd = 256;
  static constexpr std::chrono::seconds kTimeAtEnd{3};
  /// Until what could not be written is tried again.
  static constexpr std::chrono::seconds kPause{1}, kPauseMax{8};

  /// `gone` is called for a crash that is not there any more. `ledger` may be nullptr. All outlive it.
  ClerkRepeats(EventLoop& loop, const Store& store, Ledger* ledger,
               std::function<void(const std::string& id)> gone);

  /// Takes what dead managers and clerks did not bring into the store.
  void Start();
  void Add(RepeatsOfKept count);
  /// The crash was committed: what is known of its repeats can be written.
  void OnCommitted(const std::string& id);
  /// Writes what it can; what is left is logged.
  void Finish();

 private:
  void Write(std::size_t most, std::int64_t until = INT64_MAX);
  void Schedule(std::chrono::seconds pause);
  void Stored(const Repeats& repeats);
  void SayRefused(const std::string& id, const Error& why);
  [[nodiscard]] bool MayStillCome(const RepeatsOfKept& count) const;

  EventLoop& loop_;
  const Store& store_;
  Ledger* ledger_;
  std::function<void(const std::string&)> gone_;
  const std::int64_t begun_;                     // ns since 1970
  std::map<std::string, RepeatsOfKept> counts_;  // by id, not in the store yet
  std::string written_;                          // the id of the last one
  std::set<std::string> committed_;              // by this clerk, or found in the store
  std::set<std::string> refused_;                // whose owner has put something in the way: said once
  std::chrono::seconds pause_ = kPause;
  EventSource write_;
};

}  // namespace obit
