#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "base/user_ranges.h"
#include "config/config.h"
#include "kernel/pidfd.h"
#include "manager/seat.h"
#include "manager/times.h"
#include "server/ledger.h"
#include "server/metric_counts.h"
#include "server/progress_board.h"
#include "store/store.h"

namespace obit {

class DoorBoard;
class ManagerWitness;
class ProcessInspector;

/// Who connected, told without a wait; the tests' fake kernel has its own. `pidfd` may be empty: obit-pipe of
/// a kernel without %F names a pid alone.
struct PeerIdentity {
  Fd pidfd;
  PidfdInfo info;
  /// The pidfd is of the process that crashed: by the kernel's own word, or because the pid was still taken
  /// when it was made. If not, it may be of another process, which must come to no harm.
  bool named_by_kernel = false;
  /// Whose share of inspectors and workers it takes; nothing: not known. For shares alone and never for
  /// rights: what obit-pipe says of it is as old as the crash, but nothing ties it to the pidfd.
  std::optional<uid_t> share;
};
struct PeerIdentifier {
  /// EPERM: not the kernel. Other errors: it cannot be told.
  std::function<Result<PeerIdentity>(const Fd& connection)> connected;
  /// For a pidfd that obit-pipe passed on, or a pid alone; and the pipe that the core comes through.
  std::function<Result<PeerIdentity>(Fd pidfd, pid_t pid, const Fd& pipe)> piped;
};

/// Listening sockets. Another process holds inherited ones open too: what waits in their backlogs is for the
/// next server.
struct Listeners {
  Fd coredump;  ///< SOCK_STREAM, non-blocking: the kernel connects ("@" and "@@")
  Fd pipe;      ///< SOCK_SEQPACKET, the same: obit-pipe connects; may be empty
  bool inherited = false;
};

// The processes. Each function is the whole life of a forked child that has no descriptor but the standard
// ones, those of its setup and the log's; dies with the supervisor (but for the manager's socket it knows
// nobody); is undumpable; ignores the signals of a terminal. It confines itself (confine.h) before it reads a
// message, and ends when its socket does.

struct ManagerSetup {
  Fd supervisor;  ///< SupervisorNews come, ManagerWords go
  Listeners listeners;
  PeerIdentifier identifier;
  UserRanges user_ranges;
  Config config;
  ManagerLimits limits;
  std::uint32_t generation = 1;
  std::uint32_t inspectors = 4, workers = 4;  ///< seats; pumps are as many as workers
  Ledger* ledger = nullptr;
  const ProgressBoard* progress = nullptr;
  ManagerWitness* witness = nullptr;  ///< of a test (manager_witness.h)
};
[[noreturn]] void RunManager(ManagerSetup setup);

struct InspectorSetup {
  Fd manager;
  PeerIdentifier identifier;
  DoorBoard* door = nullptr;
  ProcessInspector* inspector = nullptr;
};
[[noreturn]] void RunInspector(InspectorSetup setup);

struct WorkerSetup {
  Fd manager;
  Fd incoming;    ///< the folder, an open file description of its own
  Fd userfaults;  ///< /dev/userfaultfd; empty: this host has none, and no process goes before it was read
  std::atomic<std::uint64_t>* progress = nullptr;
};
[[noreturn]] void RunWorker(WorkerSetup setup);

struct PumpSetup {
  Fd manager;
};
[[noreturn]] void RunPump(PumpSetup setup);

struct ClerkSetup {
  Fd manager;
  Fd log;  ///< lines of all others (ReceiveLogLine)
  Store store;
  Config config;
  std::string analyzer;               ///< path of obit-analyze; empty: cores are only kept
  std::vector<std::string> programs;  ///< Launcher::Fork
  std::vector<std::string> sockets;   ///< paths to which a core pattern of this server leads
  Ledger* ledger = nullptr;
  MetricCounts* counts = nullptr;        ///< of all clerks; nullptr: it begins with 0
  std::uint32_t manager_generation = 1;  ///< what an earlier one left open in the ledger is lost
  UserRanges user_ranges = {};
};
[[noreturn]] void RunClerk(ClerkSetup setup);

}  // namespace obit
