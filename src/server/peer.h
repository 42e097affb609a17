#pragma once

#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/crash_place.h"
#include "kernel/mapped_files.h"
#include "kernel/pidfd.h"
#include "kernel/process.h"
#include "kernel/process_memory.h"

namespace obit {

/// The process behind a connection.
struct Peer {
  Fd pidfd;
  PidfdInfo info;
  /// The thread that dumps core, by which /proc is asked: the first one may have exited (FindDumpingThread).
  pid_t tid = 0;
};

/// The program of a process.
struct Executable {
  Fd file;                 ///< open for reading; empty if its file system might not answer
  bool reachable = false;  ///< its path leads there on this host
};

/// How a process gets on.
struct Activity {
  std::uint64_t cpu_ticks = 0;  ///< used by all its threads so far, in units of sysconf(_SC_CLK_TCK)
  bool runs = false;            ///< the thread that dumps core does, or would if there was a processor for it
};

/// What the server asks the kernel about a crash, behind an interface: no test can make the kernel say
/// "coredumped" of a process that has not crashed.
class PeerInspector {
 public:
  virtual ~PeerInspector() = default;
  /// Who connected. EPERM: not the kernel (a process that is not dumping core). Other errors: it cannot be
  /// told.
  [[nodiscard]] virtual Result<Peer> Identify(const Fd& connection) = 0;
  /// The same for a pidfd that obit-pipe passed on; empty where the kernel has no %F: then `pid` is all there
  /// is.
  [[nodiscard]] virtual Result<Peer> IdentifyPiped(Fd pidfd, pid_t pid) = 0;
  /// The facts of /proc. ESRCH: the process was gone before they were read, and they may be of another one.
  [[nodiscard]] virtual Result<ProcessFacts> Inspect(const Peer& peer) = 0;
  /// Where it crashed, faster than Inspect. Fails also where that cannot be told.
  [[nodiscard]] virtual Result<CrashPlace> PlaceOf(const Peer& peer) = 0;
  /// The program.
  [[nodiscard]] virtual Result<Executable> Program(const Peer& peer) = 0;
  /// For direct capture. EACCES, EPERM: obitd has no right to it. ESRCH: the process is gone.
  [[nodiscard]] virtual Result<ProcessMemory> Memory(const Peer& peer) = 0;
  /// For the analysis. Fails as Memory.
  [[nodiscard]] virtual Result<std::vector<MappedFile>> MappedFiles(const Peer& peer) = 0;
  /// What it does. ESRCH: it is gone.
  [[nodiscard]] virtual Result<Activity> ActivityOf(const Peer& peer) = 0;
};

/// The running kernel.
class KernelInspector final : public PeerInspector {
 public:
  [[nodiscard]] static Result<KernelInspector> Create();
  [[nodiscard]] Result<Peer> Identify(const Fd& connection) override;
  [[nodiscard]] Result<Peer> IdentifyPiped(Fd pidfd, pid_t pid) override;
  [[nodiscard]] Result<ProcessFacts> Inspect(const Peer& peer) override;
  [[nodiscard]] Result<CrashPlace> PlaceOf(const Peer& peer) override;
  [[nodiscard]] Result<Executable> Program(const Peer& peer) override;
  [[nodiscard]] Result<ProcessMemory> Memory(const Peer& peer) override;
  [[nodiscard]] Result<std::vector<MappedFile>> MappedFiles(const Peer& peer) override;
  [[nodiscard]] Result<Activity> ActivityOf(const Peer& peer) override;

 private:
  explicit KernelInspector(Fd proc) : proc_(std::move(proc)) {}
  Fd proc_;  // /proc
};

}  // namespace obit
