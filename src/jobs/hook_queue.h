#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "config/config.h"
#include "jobs/fair_jobs.h"
#include "process/child_process.h"
#include "process/event_loop.h"
#include "store/store.h"

namespace obit {

/// RLIMIT_CORE of obitd and of all that it starts, which cannot raise it: a hook that crashes is not told of
/// itself, for ever. The kernel's own mark against that (fs/coredump.c): it starts no pipe helper for it.
inline constexpr std::uint64_t kHookCoreLimit = 1;

/// What a hook is told of.
enum class HookEvent {
  kCrash,   ///< the crash is in the store
  kReport,  ///< so is the report of it, which may be a new one
};
[[nodiscard]] const char* NameOf(HookEvent event);

/// Crashes that hooks are to be told of (FindHooks): PROGRAM EVENT ID FOLDER, with CrashToJson as input. One
/// program runs at a time, with a deadline, as the server's user without any capability. Captures go first:
/// no program is begun while the queue is held. Users whose processes crash take turns.
class HookQueue {
 public:
  /// Events that wait, at most. Beyond it one of the user who has most is dropped, and counted.
  static constexpr std::size_t kWaitingMax = 1024;

  struct Counters {
    std::uint64_t runs = 0, failures = 0;  ///< of programs
    std::uint64_t dropped = 0;             ///< events of which no hook was told
  };

  /// `changed` is called when a program has ended. While too many of `undead` are there, no program begins.
  /// All that is given outlives the queue.
  HookQueue(EventLoop& loop, const Store& store, UndeadChildren& undead, const Config& config,
            std::function<void()> changed);

  /// For the events to come.
  void Reconfigure(const Config& config);
  /// `user`: whose process crashed.
  void Add(HookEvent event, const CrashLocation& crash, JobUser user);
  /// True: begins no program until false.
  void Hold(bool held);
  /// Something runs or waits.
  [[nodiscard]] bool busy() const { return running_ != nullptr || !waiting_.empty() || !programs_.empty(); }
  /// Kills what runs and drops what waits.
  void Stop();

  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct Event {
    HookEvent event = HookEvent::kCrash;
    CrashLocation crash;
  };

  void StartWaiting();
  [[nodiscard]] bool Take(Event event);
  Result<void> StartNext();
  void OnEnd(const std::string& program, const ChildProcess::End& end);
  void Warn(const std::string& text);

  EventLoop& loop_;
  const Store& store_;
  UndeadChildren& undead_;
  std::string folder_;
  std::chrono::seconds timeout_;
  std::function<void()> changed_;
  FairJobs<Event> waiting_{kWaitingMax};
  Event current_;                     // what `programs_` are told of
  std::string input_;                 // what they read
  std::deque<std::string> programs_;  // that are yet to be told of it
  std::unique_ptr<ChildProcess> running_;
  std::set<std::string> said_;  // warnings: each once for a configuration
  bool held_ = false, full_ = false;
  Counters counters_;
};

}  // namespace obit
