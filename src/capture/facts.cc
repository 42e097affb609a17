#include "capture/facts.h"

#include <algorithm>
#include <climits>

#include <elf.h>

#include "base/text.h"

namespace obit {
namespace {

/// A path from the notes, bytes. The kernel writes longer ones than PATH_MAX there, of programs deep down;
/// but whoever makes a core for an import may claim any, and a record has to hold it.
constexpr std::size_t kPathMax = 4 * PATH_MAX;
constexpr std::size_t kArgumentsMax = 79;  // of NT_PRPSINFO: ELF_PRARGSZ is 80 with the NUL

/// The notes have the whole of a path that is too long for /proc; but they do not tell a file without a name
/// from one that is called so.
void TakeExecutable(std::string path, CrashRecord::Process& process) {
  if (path.empty()) return;
  if (path.size() > kPathMax) {
    if (std::ranges::find(process.too_long, "exe") == process.too_long.end())
      process.too_long.emplace_back("exe");
    return;
  }
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) {
    path.resize(path.size() - kDeleted.size());
    process.exe_deleted = true;
  }
  process.exe = std::move(path);
  std::erase(process.too_long, "exe");
}

}  // namespace

void ApplyProcessFacts(const ProcessFacts& facts, CrashRecord& record) {
  CrashRecord::Process& process = record.process;
  process.pid = facts.pid;
  process.own_pid = facts.own_pid;
  if (facts.parent != 0) process.parent = facts.parent;
  process.comm = facts.comm;
  process.exe = facts.exe;
  process.exe_deleted = facts.exe_deleted;
  process.cmdline = facts.cmdline;
  process.cmdline_truncated = facts.cmdline_truncated;
  process.cwd = facts.cwd;
  process.root = facts.root;
  process.cgroup = facts.cgroup;
  process.too_long = facts.too_long;
  process.uid = facts.uid;
  process.euid = facts.euid;
  process.gid = facts.gid;
  process.egid = facts.egid;
  process.threads = facts.threads;
  process.virtual_bytes = facts.virtual_bytes;
  process.resident_bytes = facts.resident_bytes;
  process.core_limit = facts.core_limit;
  process.started = facts.started;
  process.pid_namespace = facts.pid_namespace;
  process.mount_namespace = facts.mount_namespace;
  process.network_namespace = facts.network_namespace;
  process.user_namespace = facts.user_namespace;
  if (facts.signal) record.signal.number = *facts.signal;
  if (facts.crashing) {
    record.thread.tid = facts.crashing->tid;
    record.thread.comm = facts.crashing->comm;
    if (facts.crashing->pc != 0) record.thread.pc = facts.crashing->pc;
    if (facts.crashing->sp != 0) record.thread.sp = facts.crashing->sp;
  }
}

void ApplyCoreNotes(const CoreNotes& notes, CrashRecord& record) {
  CrashRecord::Process& process = record.process;
  if (!notes.threads.empty()) {
    const CoreNotes::Thread& crashed = notes.threads.front();
    if (record.signal.number == 0) record.signal.number = crashed.signal;
    if (record.thread.tid == 0) record.thread.tid = crashed.tid;
    if (crashed.pc) record.thread.pc = crashed.pc;
    if (crashed.sp) record.thread.sp = crashed.sp;
  }
  if (notes.signal && notes.signal->number != 0) {
    record.signal.number = notes.signal->number;
    record.signal.code = notes.signal->code;
    record.signal.address = notes.signal->address;
    record.signal.sender_pid = notes.signal->sender_pid;
    record.signal.sender_uid = notes.signal->sender_uid;
  }
  if (notes.process) {
    if (process.pid == 0) process.pid = notes.process->pid;
    if (!process.own_pid) process.own_pid = notes.process->pid;
    if (!process.parent) process.parent = notes.process->parent;
    if (process.comm.empty()) process.comm = notes.process->comm;
    if (!process.uid) process.uid = notes.process->uid;
    if (!process.gid) process.gid = notes.process->gid;
    if (process.cmdline.empty() && !notes.process->arguments.empty()) {
      for (const std::string_view word : Split(Trim(notes.process->arguments), ' '))
        process.cmdline.emplace_back(word);
      process.cmdline_truncated = notes.process->arguments.size() >= kArgumentsMax;
    }
  }
  if (process.exe.empty()) TakeExecutable(notes.ExecutablePath(), process);
  const auto secure = notes.auxv.find(AT_SECURE);
  if (secure != notes.auxv.end() && secure->second != 0) process.privileged = true;
}

}  // namespace obit
