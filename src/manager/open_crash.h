#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/config.h"
#include "kernel/core_pattern.h"
#include "kernel/pidfd.h"
#include "manager/fair_queue.h"
#include "manager/seat.h"
#include "policy/budgets.h"
#include "policy/crash_sites.h"
#include "policy/decide.h"
#include "policy/lowered.h"

namespace obit {

/// A crash that is not forgotten yet.
struct OpenCrash {
  enum class Stage : std::uint8_t {
    kArriving,   ///< its request is read, its process is looked into
    kAnswering,  ///< the kernel's mark is waited for
    kQueued,     ///< waits for a worker
    kUnqueued,   ///< waited for one, and gets none: it is to be answered
    kCapturing,  ///< a worker has it, for a capture or a recovery
    kLeft,       ///< its worker is gone: waits for another to recover it
    kEnding,     ///< it has what it ends in
  };
  /// What an inspector is to tell, while kArriving.
  enum class Wanted : std::uint8_t { kSite, kFacts, kSafeFacts, kNothing };

  CrashKey key = 0;
  std::string id;
  std::int64_t time = 0;  // ns since 1970
  Transport transport = Transport::kSocketRequest;
  PidfdInfo peer;
  std::optional<uid_t> share;  // whose
  std::uint64_t core_limit = UINT64_MAX;

  std::int64_t arrived = 0, since = 0;  // `since`: the stage began, or the wait for an inspector
  Stage stage = Stage::kArriving;
  bool request_read = false;  // there is none of a pipe
  bool has_offer = false;
  Wanted wanted = Wanted::kNothing;
  bool asked = false;        // an inspector has the question
  bool asked_again = false;  // for its site, by who had other rules before
  bool repeat = false;       // one more of a crash loop
  bool over_budget = false;  // its user or unit has had its crashes
  bool rejected = false;     // by its rule
  bool no_room = false;      // the disk takes no more records
  std::string lowers;  // why it may have no core: its site, user or unit has had its cores; empty: it may
  std::shared_ptr<const Config> ruled;  // of the rule that won; null: none did
  bool site_has_core = false;           // of another crash, which tells the same
  bool trace = false;                   // a worker had it, for the trace alone, and its order is not done
  CrashSites::Ticket ticket;
  std::uint64_t resident = 0;
  Budgets::Whose whose;
  std::uint64_t promised = 0;  // of its budgets
  bool abandoned = false;      // by an earlier obitd
  bool left = false;           // for the next start
  bool left_before = false;    // kLeft, once: `since` is of then
  Decision decision;
  Detail begun = Detail::kFull;  // so much of it a worker was to capture
  Lowered lowered;               // why that, or what it is kept as, is less than was decided
  std::string left_why;          // kLeft: for the recovery
  unsigned handovers = 0;        // that failed

  // The process.
  bool held = true;       // not let go yet
  bool exited = false;    // or nothing can be known of it
  bool given_up = false;  // it is not waited for any more
  bool killed = false;
  bool sighted = false;  // an inspector looks at it
  std::int64_t let_go = 0;
  std::int64_t look_at = INT64_MAX;  // next, or when it is given up
  std::optional<std::uint64_t> cpu_ticks;
  unsigned idle_looks = 0, missed_looks = 0;

  bool order_open = false;  // the clerk has it

  [[nodiscard]] bool only_counted() const { return repeat || over_budget || rejected || no_room; }
  [[nodiscard]] User user() const { return {share}; }
  [[nodiscard]] bool of_pipe() const { return transport == Transport::kPipe; }
  [[nodiscard]] bool over() const {
    return stage == Stage::kEnding && !order_open && !held && (exited || given_up);
  }
};

}  // namespace obit
