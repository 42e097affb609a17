#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include <sys/types.h>

#include "base/memory_load.h"
#include "config/config.h"
#include "crash/site.h"
#include "kernel/core_pattern.h"
#include "kernel/coredump_socket.h"
#include "kernel/pidfd.h"
#include "manager/seat.h"
#include "manager/times.h"
#include "policy/crash_sites.h"
#include "policy/disk_room.h"

namespace obit {

/// At the door, so many sites are told from each other (manager/door.h).
inline constexpr std::size_t kDoorPlaces = CrashSites::kDoorPlaces;

/// What happens to the manager. Times are nanoseconds of CLOCK_MONOTONIC unless a name says otherwise.
namespace event {

/// The kernel connected, or obit-pipe brought a pipe: a process waits. `peer` is from the manager's own
/// pidfd.
struct Arrived {
  CrashKey crash = 0;
  std::string id;         ///< that its record will have
  std::int64_t time = 0;  ///< ns since 1970
  Transport transport =
      Transport::kSocketRequest;  ///< or kPipe; a "@" connection shows only by its first bytes
  PidfdInfo peer;
  std::optional<uid_t> user;              ///< whose share it takes
  std::uint64_t core_limit = UINT64_MAX;  ///< of a pipe: %c
};
/// The first bytes of a connection (not of a pipe): the kernel's offer, or none: a core ("@").
struct RequestRead {
  CrashKey crash = 0;
  std::optional<CoredumpRequest> offer;
};
/// The kernel's verdict on the answer that Answer sent.
struct MarkRead {
  CrashKey crash = 0;
  CoredumpMark mark = CoredumpMark::kAccepted;
};
/// The connection ended, or broke the protocol, before a capture had it.
struct ConnectionLost {
  CrashKey crash = 0;
  std::string why;
};
/// The crashed process has exited; or there is no pidfd to tell it by: then soon after its release.
struct ProcessExited {
  CrashKey crash = 0;
};

/// An inspector's answer to AskSite. Nothing: it cannot be told.
struct SiteFound {
  CrashKey crash = 0;
  Seat seat;
  std::optional<CrashSite> site;
  std::int64_t boottime = 0;         ///< now, CLOCK_BOOTTIME
  std::uint64_t resident = 0;        ///< bytes of memory that the process has
  std::uint64_t glance = 0;          ///< by which such a crash is known at the door; 0: it is not
  std::uint32_t rule = 0;            ///< that wins, of the configuration, counted from 1; 0: none does
  bool other_rules = false;          ///< he had those of another configuration: the site is not told
  std::optional<MemoryLoad> memory;  ///< of the host
};
/// What AskFacts brought so far. The texts are kept by whoever calls.
struct FactsFound {
  CrashKey crash = 0;
  Seat seat;
  bool last = false;  ///< the inspector is done with this crash, and free
  std::optional<std::uint64_t> core_limit;
  std::uint64_t resident = 0;        ///< as SiteFound has it; 0: not known
  std::optional<MemoryLoad> memory;  ///< of the host
};
/// An inspector's answer to AskActivity.
struct ActivityFound {
  CrashKey crash = 0;
  Seat seat;
  bool known = false;
  std::uint64_t cpu_ticks = 0;
  bool runs = false;
};

/// What was counted at the door. Told before each SiteFound while somebody stands there: what was turned away
/// came first.
struct DoorSeen {
  struct Place {
    std::uint64_t crashes = 0;  ///< in all, of whichever sites, modulo 2^64
    std::int64_t last = 0;      ///< ns since 1970
  };
  std::array<Place, kDoorPlaces> places{};
  /// An answer to LookAtDoor: nothing waits there, or something was done since the last of these.
  std::optional<bool> moves;
};
/// An inspector has left the door, and is free.
struct DoorLeft {
  Seat seat;
};

/// Who sits there is ready for work: an inspector at once, and by itself after each answer; a worker each
/// time that it says so, also after a task. For a pump it only matters whether there is one: captures of
/// pipes are begun with another index while there is none.
struct SeatReady {
  Seat seat;
};
/// Who sat there is dead.
struct SeatLost {
  Seat seat;
  std::string why;  ///< "died of SIGSEGV"; the manager's own reason, if it killed it, comes first
};

/// A task could not be given to this worker. The crash is as it was: it waits for another one.
struct HandoverFailed {
  enum class Cause : std::uint8_t {
    kWorker,    ///< it could not be told
    kDead,      ///< it has died meanwhile: its SeatLost is on the way
    kPump,      ///< the worker is ready, but its pump is not there
    kShortage,  ///< of memory, or of descriptors under way: nobody could be given it now
    kNoTrace,   ///< for a trace alone it lacks what a worker needs, who is ready
  };
  CrashKey crash = 0;
  Seat seat;
  Cause cause = Cause::kWorker;
  std::string why;
};
/// A worker let the process go: the core is read. Storing goes on.
struct CaptureReleased {
  CrashKey crash = 0;
  Seat seat;
  bool kept = false;  ///< its memory is: most of it is still to be read
};
/// A worker has let go of the memory that it kept.
struct MemoryCopied {
  CrashKey crash = 0;
  Seat seat;
};
/// Somebody wants the memory back that is kept of the crash with this id.
struct LetGo {
  std::string id;
};
/// A worker is done: incoming/ID can be committed; or there is nothing to commit, `error` says why.
struct CaptureEnded {
  CrashKey crash = 0;
  Seat seat;
  bool stored = false;
  std::string error;
  std::uint64_t core_bytes = 0;  ///< that its core takes on the disk; 0: there is none
};

/// The clerk has done an order of Record, Commit or KeepWithoutCore, or failed at it; either way it is over.
struct OrderDone {
  CrashKey crash = 0;
};
/// incoming/ID was left behind by whoever is dead, and has to be completed. It becomes a crash of its own
/// key.
struct Abandoned {
  CrashKey crash = 0;
  std::string id, reason;
};
/// The crash that others are counted after is gone: the next one of its site is recorded.
struct KeptIsGone {
  std::string id;
};

/// The clerk has room for so many cores that are for the trace alone, those included that the manager has.
struct TracesWanted {
  std::size_t room = 0;
};

/// The clerk has looked what the store may still take. What it had done before (OrderDone) is in that.
struct RoomTold {
  DiskRoom room;
};

/// In force from now on, for what is not decided yet. Config::slots is the number of workers' seats.
struct Configured {
  Config config;
  ManagerLimits limits;
};
/// No crash arrives any more. What is open may end within ManagerLimits::stop.
struct Stopping {};
/// Only time has passed (Manager::NextDeadline).
struct Tick {};

}  // namespace event

using Event =
    std::variant<event::Arrived, event::RequestRead, event::MarkRead, event::ConnectionLost,
                 event::ProcessExited, event::SiteFound, event::FactsFound, event::ActivityFound,
                 event::DoorSeen, event::DoorLeft, event::SeatReady, event::SeatLost, event::HandoverFailed,
                 event::CaptureReleased, event::MemoryCopied, event::LetGo, event::CaptureEnded,
                 event::OrderDone, event::Abandoned, event::KeptIsGone, event::TracesWanted, event::RoomTold,
                 event::Configured, event::Stopping, event::Tick>;

}  // namespace obit
