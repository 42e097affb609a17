#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "config/config.h"

namespace obit {

/// How long the manager waits for others, and how much of them one user may have. None of it is a wait of the
/// manager itself: when a time is over, the crash goes on with what there is.
struct ManagerLimits {
  using Nanoseconds = std::chrono::nanoseconds;
  Nanoseconds site = std::chrono::milliseconds(500);   ///< for the site of a crash
  Nanoseconds safe = std::chrono::seconds(2);          ///< for first facts, which ask only /proc
  Nanoseconds risky = std::chrono::milliseconds(500);  ///< for the other facts, after the first
  Nanoseconds exchange = std::chrono::seconds(10);     ///< for the kernel's request, and for its mark
  Nanoseconds queue = std::chrono::seconds(2);         ///< in the queue while no capture makes progress
  Nanoseconds held = std::chrono::seconds(10);         ///< in a capture that makes no progress
  Nanoseconds capture = std::chrono::seconds(600);     ///< in a capture
  /// Bytes a second that a capture has to have got, on average, after `held` if crashes wait longer than
  /// `queue`; ten times that after ten times as long. Else a user's own file system, which answers in time
  /// each time, would hold up others for as long as a capture may take.
  std::uint64_t held_rate = 4 << 20;
  Nanoseconds stored = std::chrono::seconds(60);     ///< a released capture without progress keeps its seat
  Nanoseconds given_up = std::chrono::seconds(600);  ///< and is then killed after so much longer
  Nanoseconds keep = std::chrono::seconds(30);       ///< of memory beyond the end of its process
  Nanoseconds die = std::chrono::seconds(5);         ///< after SIGKILL, until the seat is given to another
  Nanoseconds look = std::chrono::seconds(1);        ///< between two looks at a released process or a capture
  std::size_t kept_at_once = 4;                 ///< processes whose memory is kept; half of them of one user
  unsigned idle_looks = 5;                      ///< that see a released process do nothing: then SIGKILL
  Nanoseconds stop = std::chrono::seconds(20);  ///< for all that is open when obitd is to stop
  /// Processes of a role that are left behind, at most (they do not die, or a disk holds them): beyond it a
  /// seat stays with who is in it.
  std::size_t left_behind = 64;
};

/// Those that obit.toml has.
[[nodiscard]] ManagerLimits LimitsOf(const Config& config);

/// Workers that do not die, by one user's crashes, from which on these get no others: some waits in the
/// kernel are nobody's fault, and whoever goes on would use up what may be left behind.
[[nodiscard]] constexpr std::size_t UndeadMax(const ManagerLimits& limits) {
  return limits.left_behind < 8 ? 1 : limits.left_behind / 8;
}

/// What one user's crashes may have at once of `seats`: half, and at least one.
[[nodiscard]] constexpr std::size_t ShareOf(std::size_t seats) { return seats < 2 ? seats : seats / 2; }

}  // namespace obit
