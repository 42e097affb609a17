#pragma once

// What obitd's processes tell each other: SOCK_SEQPACKET, one of these structures a message, then text where
// it says so. Both ends are of one program, forked by one supervisor. Who receives checks sizes and
// enumerators all the same: inspectors and workers see hostile things.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/file_stamp.h"
#include "config/rule.h"
#include "kernel/coredump_socket.h"
#include "kernel/pidfd.h"
#include "manager/seat.h"

namespace obit {

inline constexpr std::size_t kFactsMax = 96 * 1024;       ///< bytes of facts, the text of a record
inline constexpr std::size_t kReasonMax = 512;            ///< bytes of a reason or an error
inline constexpr std::size_t kConfigTextMax = 64 * 1024;  ///< bytes of a configuration, as obit.toml has it
inline constexpr std::size_t kMessageMax = 128 * 1024;    ///< bytes of any message

/// Bytes without a NUL that ends them: shorter text is filled up with NULs.
using CrashIdBytes = char[16];

// Supervisor and manager.

/// From the supervisor.
struct SupervisorNews {
  enum class Kind : std::uint32_t {
    kFilled,     ///< with two descriptors: the socket to who sits there, and his pidfd
    kVacated,    ///< he is dead; `status` as of wait(2)
    kConfigure,  ///< text: the configuration
    kStop,
    kPing,  ///< kPong is to come
  };
  Kind kind = Kind::kFilled;
  Role role = Role::kInspector;
  std::uint8_t padding[3] = {};
  std::uint32_t index = 0, generation = 0;
  std::int32_t status = 0;
  std::uint32_t counter = 0;  ///< kFilled, of a worker: its counter of the ProgressBoard
};
static_assert(sizeof(SupervisorNews) == 24 && std::has_unique_object_representations_v<SupervisorNews>);

/// To the supervisor.
struct ManagerWord {
  enum class Kind : std::uint32_t {
    kListening,    ///< crashes are accepted
    kHold,         ///< with a descriptor: the connection of a capture, to be shut down if the manager dies
    kDrop,         ///< that one no more
    kLeaveBehind,  ///< fork another for this seat, whoever sits there
    kPattern,      ///< text: what is wrong with the kernel's core pattern; empty: it leads here
    kStopped,      ///< nothing is open any more
    kPong,         ///< to kPing
  };
  Kind kind = Kind::kListening;
  Role role = Role::kInspector;
  std::uint8_t padding[3] = {};
  std::uint32_t index = 0, generation = 0;
  CrashKey crash = 0;
};
static_assert(sizeof(ManagerWord) == 24 && std::has_unique_object_representations_v<ManagerWord>);

// Manager and inspector.

/// About a crashed process, whose pidfd comes along but with kSite: whoever asks that checks the pidfd.
/// Answered by Findings: kSite, kActivity: by one; kFacts: by kSafe, and then by kAll unless only_safe is
/// set. With kFacts comes, if has_bag is set, the sending end of a bag.
///
/// Three are about no process: kKeepDoor, with the listener and the passage (doorkeeper.h), answered by
/// Findings once the door is left; kLeaveDoor, which has no answer of its own; and kRules, which has none:
/// text (RulesText) with the rules by which kSite is answered from here on, and `rules`, the number of these.
struct Question {
  enum class Kind : std::uint32_t { kSite, kFacts, kActivity, kKeepDoor, kLeaveDoor, kRules };
  CrashKey crash = 0;
  Kind kind = Kind::kSite;
  std::int32_t pid = 0;
  std::int32_t signal = 0, code = 0;  ///< as the kernel told them; 0: unknown
  std::uint64_t cgroup = 0;           ///< PidfdInfo::cgroup
  std::uint32_t uid = 0;              ///< the real one
  std::uint8_t has_code = 0, has_uid = 0;
  std::uint8_t one_identity = 0;  ///< PidfdInfo::one_identity
  std::uint8_t root_only = 0;     ///< the kernel's dump mode, or what else makes it privileged
  std::uint8_t only_safe = 0;
  std::uint8_t wants_memory = 0;  ///< for direct capture, into the bag
  std::uint8_t wants_mapped =
      0;  ///< files for the analysis, into the second bag, whose sending end comes along too
  std::uint8_t has_bag =
      0;  ///< for memory, its outlook, names of threads and program, where a core is wanted
  std::uint32_t rules = 0;
};
static_assert(sizeof(Question) == 48 && std::has_unique_object_representations_v<Question>);

/// What an inspector found. Behind kSafe and kAll comes text: a record (crash/record_json.h) with what it
/// knows filled in, at most kFactsMax; kAll repeats what kSafe said.
struct Findings {
  enum class Kind : std::uint32_t { kSite, kSafe, kAll, kActivity, kDoorLeft };
  CrashKey crash = 0;
  Kind kind = Kind::kSite;
  std::uint8_t known = 0;       ///< kSite, kActivity: it could be told
  std::uint8_t privileged = 1;  ///< as far as the facts tell
  std::uint8_t has_core_limit = 0;
  std::uint8_t runs = 0;         ///< kActivity
  std::uint64_t core_limit = 0;  ///< bytes
  std::uint64_t cpu_ticks = 0;   ///< kActivity
  std::uint64_t resident = 0;    ///< kSite, kSafe, kAll: bytes; 0: not known
  std::uint64_t glance = 0;      ///< kSite: by which the door's board knows such a crash; 0: not at all
  // kSite, kSafe, kAll: MemoryLoad, if has_memory is set.
  std::uint64_t memory_total = 0, memory_available = 0;
  std::uint32_t memory_pressure = 0;
  std::uint8_t has_memory = 0, has_pressure = 0;
  std::uint8_t padding_of_memory[2] = {};
  // kSite: CrashSite.
  FileStamp program;
  std::uint64_t module_inode = 0, offset = 0, callers = 0, container = 0;
  std::uint32_t uid = 0;
  std::int32_t signal = 0;
  std::uint8_t wants_core = 1;
  std::uint8_t service_of_system = 0;
  std::uint16_t rule = 0;   ///< kSite: that wins, counted from 1, of those
  std::uint32_t rules = 0;  ///< that have this number; 0: he was told none
  char comm[16] = {};       ///< of every kind
  char service[256] = {};
};
static_assert(std::is_trivially_copyable_v<Findings>);

/// From the inspector at the door, by the passage: with a connection that is the manager's from here on.
struct Passing {
  std::uint32_t hand = 0;  ///< of the DoorBoard, which the manager frees
};

// Manager and worker, and clerk.

/// What the manager itself knows of a crash: the record is made of it and of the facts (MakeRecord in
/// facts_record.h).
struct RecordHead {
  CrashIdBytes id = {};
  std::uint64_t number = 0;
  std::int64_t time = 0;                                 ///< ns since 1970
  std::uint64_t core_limit = UINT64_MAX;                 ///< bytes; of a pipe: %c
  std::int64_t held = 0;                                 ///< ns; 0: not over yet
  std::uint64_t lowered_has = 0, lowered_needs = 0;      ///< Lowered
  std::uint32_t transport = 0, detail = 0, outcome = 0;  ///< Transport, Detail, CrashOutcome
  std::int32_t pid = 0, tid = 0;
  std::int32_t signal = 0, code = 0;  ///< 0: unknown
  std::uint32_t uid = 0;              ///< the real one, as the kernel told the manager
  std::uint8_t has_code = 0, has_uid = 0;
  std::uint8_t privileged = 1;  ///< for root and the group only: dump mode and all that the facts told
  std::uint8_t has_core_limit = 0;
  /// The worker that has incoming/ID was killed, and cannot die yet: its lock counts for nothing.
  std::uint8_t owner_killed = 0;
  std::uint8_t lowered = 0;    ///< Shortage
  std::uint8_t root_only = 0;  ///< the kernel's dump mode, as Question has it
  // CrashHandling, each enumerator and bool counted from 1 (SetHandling); 0: it is not set.
  std::uint8_t environment = 0, analyze = 0, hooks = 0, retention = 0;
  std::uint8_t padding[5] = {};
  char rule[120] = {};  ///< Rule::NameForPeople of the one that won; empty: none did
};
static_assert(std::has_unique_object_representations_v<RecordHead> &&
              sizeof(RecordHead::rule) > kRuleNameMax);

/// To a worker. kCapture: with the connection and, if has_bag, the receiving end of a bag; text: facts.
/// kTrace: the same, with a bag, and behind it the sending end of one for the core, which is in memory.
/// kRecover: no descriptor; text: the reason.
struct Job {
  enum class Kind : std::uint32_t { kCapture, kTrace, kRecover };
  Kind kind = Kind::kCapture;
  std::uint32_t has_offer = 0;  ///< a "@@" connection: answer `offer` first
  std::uint32_t has_bag = 0;
  std::uint32_t verify = 0;  ///< CaptureJob::verify
  CrashKey crash = 0;
  RecordHead head;
  CoredumpRequest offer{};
  std::int64_t accepted = 0;                     ///< CLOCK_MONOTONIC, ns
  std::uint64_t core_max = UINT64_MAX;           ///< CaptureJob::core_max
  std::int64_t progress_ns = 0, capture_ns = 0;  ///< the worker's own deadlines; the manager's are later
  std::uint64_t kept = 0;                        ///< KeepTerms
  std::int64_t keep_ns = 0;                      ///< KeepTerms::timeout
  std::uint64_t keep_refusal = 0;                ///< KeepRefusal
};
static_assert(std::has_unique_object_representations_v<Job>);

/// From a worker.
struct JobReport {
  enum class Kind : std::uint32_t {
    kReady,     ///< it takes a job: its next folder is prepared
    kReleased,  ///< the crashed process may exit; the job goes on
    kKept,      ///< the same, and its memory is kept
    kCopied,    ///< what was kept is let go; the job goes on
    kStored,    ///< done: incoming/ID can be committed; or the bag for a trace has a core
    kFailed,    ///< done: there is nothing to commit, or no trace; text: why
  };
  Kind kind = Kind::kReady;
  std::uint32_t padding = 0;
  CrashKey crash = 0;
  std::uint64_t core_bytes = 0;  ///< kStored: what is kept of the core takes on the disk; 0: there is none
};
static_assert(sizeof(JobReport) == 24 && std::has_unique_object_representations_v<JobReport>);

/// To a pump: with two descriptors, the pipe and the socket into which it goes. It says nothing; it ends the
/// socket when the pipe ends, and both when the socket is hung up. The pipe is its own alone.
struct PumpJob {
  CrashKey crash = 0;
};

// Manager and clerk.

/// Crashes that got no record of their own. These only grow, whichever manager counts them.
struct Tallies {
  std::uint64_t repeated = 0;     ///< one more of a crash loop
  std::uint64_t counted = 0;      ///< only counted, as the configuration says
  std::uint64_t over_budget = 0;  ///< only counted, since its user or unit has had its crashes
  std::uint64_t no_room = 0;      ///< only counted, since the disk took no more records
  std::uint64_t lost = 0;         ///< there was no room for them
};

/// To the clerk. kRecord, kCommit and kKeepWithoutCore are answered by ClerkWord::kDone: as soon as what is
/// known of the crash is on the disk, for the clerk to go on with. kDiscard is answered when it is done.
struct Order {
  enum class Kind : std::uint32_t {
    kRecord,           ///< text: facts, then the reason (`reason_bytes` of it): a record without a core;
                       ///< with a bag if has_trace, and one as kCommit has it before that
    kCommit,           ///< text: facts; with a descriptor if has_mapped: a bag of kMapped for the analysis
    kKeepWithoutCore,  ///< text as kRecord: nobody completes incoming/ID, what is stored of the core stays
    kRepeats,          ///< `count`, `first`, `last`: of the kept crash `head.id`, which came at `head.time`
    kCount,      ///< `count` that are only counted, for `cause`, one of them `head`; text: their name, for
                 ///< the log
    kLost,       ///< one of which there is no record; text: the line for the log
    kLoad,       ///< numbers for metrics: `load`
    kDiscard,    ///< with a descriptor, to be closed: that may wait, of a file that has no other user;
                 ///< answered by ClerkWord::kDiscarded
    kAskRoom,    ///< answered by ClerkWord::kRoom
    kHoldJobs,   ///< `held`: captures wait, so no analysis and no hook begins
    kConfigure,  ///< text: the configuration
    kStop,       ///< all orders are given: finish, and say kStopped
  };
  Kind kind = Kind::kRecord;
  std::uint32_t reason_bytes = 0;
  std::uint32_t has_mapped = 0;
  std::uint32_t held = 0;
  CrashKey crash = 0;
  RecordHead head;
  std::uint64_t count = 0;
  std::uint32_t cause = 0;           ///< CountCause
  std::uint32_t has_trace = 0;       ///< a bag for kTrace, which may be empty
  std::int64_t first = 0, last = 0;  ///< ns since 1970
  struct Load {
    std::uint64_t queued = 0, captures = 0, left_behind = 0, refused = 0, replaced = 0;
    std::uint64_t kept = 0, kept_bytes = 0;  ///< Manager::Kept
    Tallies tallies;                         ///< since the ledger was made
  } load;
};
static_assert(std::has_unique_object_representations_v<Order>);

/// From the clerk.
struct ClerkWord {
  enum class Kind : std::uint32_t {
    kNumbers,     ///< crashes may have the numbers from `first` on, `count` of them
    kAbandoned,   ///< incoming/`id` is to be recovered by a worker; text: the reason
    kReady,       ///< all abandoned were told
    kDone,        ///< the order for `crash` is over; `kept`: it has a record
    kDiscarded,   ///< what came with one kDiscard is closed
    kKeptIsGone,  ///< crash `id`, after which others are counted, is not there any more
    kPattern,     ///< the kernel's core pattern leads here (`count` != 0), or elsewhere; text: for people
    kRoom,        ///< DiskRoom: `first` bytes by its limits, `count` that are free; `kept`: records have room
    kWantsMapped,  ///< `count` != 0: bags of mapped files are of use for analyses
    kWantsTraces,  ///< there is room for `count` traces, those included that are not recorded yet
    kStopped,
  };
  Kind kind = Kind::kReady;
  std::uint32_t kept = 0;
  CrashKey crash = 0;
  std::uint64_t first = 0, count = 0;
  CrashIdBytes id = {};
};
static_assert(std::has_unique_object_representations_v<ClerkWord>);

}  // namespace obit
