#include "server/peer.h"

#include "base/io.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "kernel/executable.h"
#include "kernel/local_mounts.h"
#include "kernel/process_stat.h"
#include "kernel/process_thread.h"

namespace obit {
namespace {

/// False if fs.suid_dumpable is 1: then the kernel dumps a process that was privileged as if it were none.
bool TellsPrivileged(const Fd& proc) {
  const auto value = ReadFileAt(proc, "sys/fs/suid_dumpable", 16);
  return value && Trim(value->text) != "1";
}

}  // namespace

Result<KernelInspector> KernelInspector::Create() {
  return KernelInspector(OBIT_TRY(Open("/proc", O_RDONLY | O_DIRECTORY)));
}

Result<Peer> KernelInspector::Identify(const Fd& connection) {
  Fd pidfd = OBIT_TRY(PeerPidfd(connection));
  PidfdInfo info = OBIT_TRY(GetPidfdInfo(pidfd));
  if (info.pid == 0) info.pid = OBIT_TRY(PeerCredentials(connection)).pid;  // killed and reaped already
  if (!info.coredumped) return Refuse(EPERM, "process {} is not dumping core", info.pid);
  if (!TellsPrivileged(proc_)) info.dump_mode = DumpMode::kRoot;
  return Peer{std::move(pidfd), info, FindDumpingThread(proc_, info.pid)};
}

Result<Peer> KernelInspector::IdentifyPiped(Fd pidfd, pid_t pid) {
  const bool named_by_kernel = static_cast<bool>(pidfd);
  if (!named_by_kernel) pidfd = OBIT_TRY(OpenPidfd(pid));
  PidfdInfo info;
  if (const auto known = GetPidfdInfo(pidfd)) info = *known;
  info.pid = pid;
  if (named_by_kernel && info.coredump_known && !info.coredumped)
    return Refuse(EPERM, "process {} is not dumping core", pid);
  // Without %F the pid may have been reused since the crash, at worst by a privileged process that is
  // crashing too. So that nobody gets another's data, such a crash is for root only.
  if (!named_by_kernel || !TellsPrivileged(proc_)) info.dump_mode = DumpMode::kRoot;
  return Peer{std::move(pidfd), info, FindDumpingThread(proc_, pid)};
}

Result<ProcessFacts> KernelInspector::Inspect(const Peer& peer) {
  ProcessFacts facts{.pid = peer.info.pid};
  if (const auto dir = OpenThread(proc_, peer.info.pid, peer.tid))
    facts = ReadProcessFacts(proc_, *dir, peer.info.pid);
  if (!StillNamed(peer.pidfd)) return Refuse(ESRCH, "the process was gone before it could be looked at");
  return facts;
}

Result<CrashPlace> KernelInspector::PlaceOf(const Peer& peer) {
  const Fd dir = OBIT_TRY(OpenThread(proc_, peer.info.pid, peer.tid));
  CrashPlace place = OBIT_TRY(ReadCrashPlace(proc_, dir, peer.info.pid));
  if (!StillNamed(peer.pidfd)) return Refuse(ESRCH, "the process was gone before it could be looked at");
  return place;
}

Result<Executable> KernelInspector::Program(const Peer& peer) {
  const Fd dir = OBIT_TRY(OpenThread(proc_, peer.info.pid, peer.tid));
  const Fd opened = OBIT_TRY(OpenExecutable(dir));
  const LocalMounts mounts = OBIT_TRY(LocalMounts::Read(dir));
  Executable program{.reachable = IsReachable(proc_, dir, ReadExecutableName(proc_, dir), opened)};
  if (!StillNamed(peer.pidfd))
    return Refuse(ESRCH, "the process was gone before its program could be opened");
  if (auto file = mounts.OpenForReading(opened)) program.file = std::move(*file);
  return program;
}

Result<ProcessMemory> KernelInspector::Memory(const Peer& peer) {
  ProcessMemory memory = OBIT_TRY(OpenProcessMemory(OBIT_TRY(OpenThread(proc_, peer.info.pid, peer.tid))));
  if (!StillNamed(peer.pidfd)) return Refuse(ESRCH, "the process was gone before its memory could be opened");
  return memory;
}

Result<Activity> KernelInspector::ActivityOf(const Peer& peer) {
  auto dir = OpenThread(proc_, peer.info.pid, peer.tid);
  if (!dir)
    dir = OpenThread(proc_, peer.info.pid, peer.info.pid);  // that thread may have exited before the others
  if (!dir) return std::unexpected(dir.error());
  const ProcessStat stat = OBIT_TRY(ReadProcessStat(*dir, "stat"));
  if (!StillNamed(peer.pidfd)) return Refuse(ESRCH, "the process is gone");
  return Activity{stat.cpu_ticks, stat.state == 'R'};
}

Result<std::vector<MappedFile>> KernelInspector::MappedFiles(const Peer& peer) {
  auto files = OBIT_TRY(OpenMappedFiles(OBIT_TRY(OpenThread(proc_, peer.info.pid, peer.tid))));
  if (!StillNamed(peer.pidfd)) return Refuse(ESRCH, "the process was gone before its files could be opened");
  return files;
}

}  // namespace obit
