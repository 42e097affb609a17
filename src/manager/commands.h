#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "crash/record.h"
#include "manager/count_cause.h"
#include "manager/seat.h"
#include "policy/early_release.h"
#include "policy/lowered.h"

namespace obit {

/// What the manager wants done. None of it may wait: what cannot be done at once is reported as an event
/// (SeatLost, ConnectionLost) or left.
namespace command {

// To an inspector. Each is answered by events of the same name, or by SeatLost.
struct AskSite {
  CrashKey crash = 0;
  Seat seat;
};
struct AskFacts {
  CrashKey crash = 0;
  Seat seat;
  bool only_safe = false;               ///< nothing that can wait for a file system or a lock of the process
  bool for_core = true;                 ///< there may be a core of it, unless it wants none (RLIMIT_CORE 0)
  Detail if_unwanted = Detail::kEvent;  ///< then this
  bool for_trace = false;               ///< if there is none, there may be one for the trace alone
};
struct AskActivity {
  CrashKey crash = 0;
  Seat seat;
};

/// Answers the kernel's offer; MarkRead or ConnectionLost follows, but not of kReject: its Release comes
/// next.
struct Answer {
  CrashKey crash = 0;
  Detail detail = Detail::kEvent;
};
/// Lets the process go: hangs up in both directions, whoever else has the connection, and closes. For a pipe,
/// ends its pump.
struct Release {
  CrashKey crash = 0;
};
/// SIGKILL to the crashed process, which does not go by itself.
struct KillProcess {
  CrashKey crash = 0;
};

/// Hands the connection to a worker, of a pipe by the pump of the same index. CaptureEnded or SeatLost
/// follows.
struct StartCapture {
  CrashKey crash = 0;
  Seat seat;
  Detail detail = Detail::kFull;        ///< kEvent: for the trace alone, and nothing of it is stored
  std::uint64_t core_max = UINT64_MAX;  ///< Decision::core_max
  bool direct = true;                   ///< memory from /proc, as far as the inspector got it
  bool verify = false;
  Lowered lowered;                                      ///< why `detail` is less than was decided
  KeepRefusal keep_refusal = KeepRefusal::kConfigured;  ///< why its memory may not be kept beyond its end
  std::uint64_t kept = 0;           ///< bytes of other processes that are kept, or may be in a moment
  std::chrono::nanoseconds keep{};  ///< so long, at most
};
/// Has a worker complete incoming/ID. CaptureEnded or SeatLost follows.
struct StartRecovery {
  CrashKey crash = 0;
  Seat seat;
  std::string id, reason;
};

// To the clerk; OrderDone follows, whatever becomes of the clerk.
/// A record without a core. The process is free, or is freed by a Release beside this.
struct Record {
  CrashKey crash = 0;
  Detail detail = Detail::kEvent;
  CrashOutcome outcome = CrashOutcome::kEvent;
  std::string reason;
  Lowered lowered;  ///< as StartCapture has it
};
/// incoming/ID is complete.
struct Commit {
  CrashKey crash = 0;
};
/// What a worker left of incoming/ID stays as it is, with the record that can be made of what is there.
struct KeepWithoutCore {
  CrashKey crash = 0;
  std::string reason;
};

/// One more that is only counted. No order follows.
struct Count {
  CrashKey crash = 0;
  CountCause cause = CountCause::kConfiguration;
};
/// This crash is one of a loop, and counted from here on: Manager::TakeRepeats has the counts that have
/// changed since the last of these.
struct NoteRepeats {
  CrashKey crash = 0;
};

// To the inspector who stands at the door (manager/door.h), and about him.
/// Stands there from here on. DoorLeft or SeatLost follows.
struct KeepDoor {
  Seat seat;
};
/// Crashes that look like this at a glance (event::SiteFound::glance) are turned away until then,
/// CLOCK_BOOTTIME, and counted at this place. 0: no more.
struct TurnAway {
  std::uint32_t place = 0;  ///< below kDoorPlaces
  std::uint64_t glance = 0;
  std::int64_t until = 0;
};
/// DoorSeen follows.
struct LookAtDoor {};
/// He is to leave. DoorLeft or SeatLost follows.
struct LeaveDoor {
  Seat seat;
};

/// SIGKILL. SeatLost follows once it is dead.
struct Kill {
  Seat seat;
};
/// Gives the seat to another now; who sits there is left behind, with what it has: its reports still count,
/// its death is a SeatLost. SeatReady follows with the next generation.
struct LeaveBehind {
  Seat seat;
};

/// Everything of this crash is over, its order too. Forget it, and close what is open of it.
struct Forget {
  CrashKey crash = 0;
  bool left = false;  ///< for the next start (Manager): whose it is must not be forgotten
};
/// Captures wait: analyses and hooks do not begin; or no longer.
struct HoldJobs {
  bool held = false;
};
/// A line for the log.
struct Say {
  int severity = 5;  ///< Severity
  std::string text;
};
/// After Stopping: nothing is open any more.
struct Stopped {};

}  // namespace command

using Command =
    std::variant<command::AskSite, command::AskFacts, command::AskActivity, command::Answer, command::Release,
                 command::KillProcess, command::StartCapture, command::StartRecovery, command::Record,
                 command::Commit, command::KeepWithoutCore, command::Count, command::NoteRepeats,
                 command::KeepDoor, command::TurnAway, command::LookAtDoor, command::LeaveDoor, command::Kill,
                 command::LeaveBehind, command::Forget, command::HoldJobs, command::Say, command::Stopped>;

}  // namespace obit
