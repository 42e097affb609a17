#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/disk_space.h"
#include "base/user_ranges.h"
#include "catalog/kept.h"
#include "config/config.h"
#include "policy/disk_room.h"
#include "policy/retention.h"
#include "policy/steady_clock.h"
#include "process/event_loop.h"
#include "server/clerk_index.h"
#include "store/store.h"

namespace obit {

/// What time it is (ns, as base/clock.h), and how full the disk. Beside tests, as the system says.
struct RetentionSenses {
  std::function<std::int64_t()> realtime = RealtimeNow, boottime = BoottimeNow;
  std::function<Result<DiskSpace>(const Fd&)> disk = DiskSpaceOf;
  UserRanges users = {};  ///< who are one
};

/// Keeps the store within its limits: what has to go (PlanRetention) goes in small steps, with pauses in
/// which the clerk takes orders. It looks after crashes were committed, and each hour.
class ClerkRetention {
 public:
  struct Handler {
    /// A core, or all of a crash, was removed.
    std::function<void(RetentionReason, bool whole, std::uint64_t bytes)> removed;
    /// Something is left of a crash that was removed, for GoOnRemoving.
    std::function<void()> left;
  };
  /// One step; between two; between looks after commits, and those of which nothing came, or no answer;
  /// without commits.
  static constexpr std::chrono::milliseconds kStep{20}, kStepPause{20}, kPause{5'000}, kPauseMax{600'000};
  static constexpr std::chrono::hours kIdlePause{1};
  static constexpr int kAtOnce = 32;  ///< of a step
  /// Some file systems (Btrfs, XFS) free late what was removed: so long it counts as free.
  static constexpr std::chrono::seconds kFreesWithin{60};

  /// `loop`, `store` and `index` outlive it.
  ClerkRetention(EventLoop& loop, const Store& store, ClerkIndex& index, const Config& config,
                 Handler handler, RetentionSenses senses = {});

  /// Looks soon, and from then on.
  void Start();
  void Reconfigure(const Config& config);
  /// A crash was committed.
  void Added(const KeptCrash& crash);
  /// Looks now. What is to go goes in steps, of which this is the first.
  void Look();
  /// Removes nothing any more.
  void Stop();
  /// What it may take now, by the limits and by what was found last. Without retention obitd keeps no limit.
  [[nodiscard]] Result<DiskRoom> Room();
  /// What the store may hold; nothing: it has no limit.
  [[nodiscard]] std::optional<std::uint64_t> limit_bytes() const { return limit_; }

 private:
  void Schedule(std::chrono::milliseconds pause);
  [[nodiscard]] Result<RetentionLimits> LimitsNow();
  [[nodiscard]] bool IsOver(const RetentionLimits& limits) const;
  [[nodiscard]] std::optional<KeptCrashes> ListAll(const RetentionLimits& limits);
  [[nodiscard]] std::uint64_t BelievedFree();
  void Plan(RetentionLimits limits);
  void Work();
  void Take(const RetentionStep& step);
  [[nodiscard]] bool MayTake(const CrashLocation& crash, const KeptCrash& known);
  void NoteFreed(std::uint64_t bytes);
  void SayIfTooMuchStays(const RetentionLimits& limits);
  [[nodiscard]] bool IsConfirmed(const CrashLocation& crash, const KeptCrash& known);
  void NoteFixed(const KeptCrash& crash, const Error& why);
  void SayOnce(const KeptCrash& crash, const Error& why);
  void EndRound();

  EventLoop& loop_;
  const Store& store_;
  ClerkIndex& index_;
  Config config_;
  Handler handler_;
  RetentionSenses senses_;
  SteadyClock clock_;
  bool said_jump_ = false;

  std::optional<std::uint64_t> limit_;
  std::optional<std::uint64_t> used_;  // by what may go, after the last look, and with what was added since
  std::uint64_t added_ = 0;            // since that look
  std::uint64_t staying_ = 0;          // what may not go
  bool said_staying_ = false;
  std::int64_t last_look_ = 0;                    // at all crashes, CLOCK_BOOTTIME
  std::int64_t learned_ = 0;                      // since when `pins_`, `unread_` and `fixed_` are believed
  std::uint64_t disk_bytes_ = 0, disk_free_ = 0;  // as the disk says
  bool may_age_ = false;                          // the look asked when crashes came
  struct Freed {
    std::uint64_t free_before = 0, bytes = 0;
    std::uint64_t added = 0;  // since, until the next one
    std::int64_t time = 0;    // CLOCK_BOOTTIME
  };
  std::deque<Freed> freed_;  // lately
  std::chrono::milliseconds pause_ = kPause;
  int patience_ = 1;  // more of it while nothing may go
  EventSource look_, work_;
  bool soon_ = false;  // `look_` is one of those after a commit

  KeptCrashes kept_;
  std::vector<RetentionStep> steps_;       // the last one first
  std::map<std::uint64_t, PinKind> pins_;  // by id, of those that were in the way
  std::set<std::uint64_t> unread_;         // of those: their records cannot be read
  std::set<std::uint64_t> fixed_;          // ids of those that could not be removed, or were
  std::set<std::uint64_t> told_;           // of those: it was said why
  bool again_ = false;                     // something was in the way: what goes in its place?
  int rounds_ = 0;
  std::uint64_t cores_ = 0, crashes_ = 0, bytes_ = 0;  // removed since the last look
};

}  // namespace obit
