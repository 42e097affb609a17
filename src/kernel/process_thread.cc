#include "kernel/process_thread.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "kernel/process_stat.h"

namespace obit {
namespace {

constexpr std::size_t kThreadsLookedAt = 65536;

}  // namespace

pid_t FindDumpingThread(const Fd& proc, pid_t pid) {
  const std::string name = std::to_string(pid);
  const auto first = ReadProcessStat(proc, name + "/stat");
  if (!first || first->dumps_core()) return pid;
  const auto tasks = OpenAt(proc, name + "/task", O_RDONLY | O_DIRECTORY);
  if (!tasks) return pid;
  const auto tids = ListDirectory(*tasks);
  if (!tids) return pid;
  std::size_t looked_at = 0;
  for (const std::string& tid : *tids) {
    if (++looked_at > kThreadsLookedAt) return pid;
    if (const auto stat = ReadProcessStat(*tasks, tid + "/stat"); stat && stat->dumps_core()) return stat->id;
  }
  return pid;
}

Result<Fd> OpenThread(const Fd& proc, pid_t pid, pid_t tid) {
  Fd dir = OBIT_TRY(OpenAt(proc, std::to_string(tid), O_RDONLY | O_DIRECTORY));
  if (tid == pid) return dir;
  // The kernel finds there the threads of this thread's process alone (proc_task_lookup() of fs/proc/base.c).
  struct stat status{};
  if (::fstatat(dir.get(), fmt::format("task/{}", pid).c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
    return Refuse(ESRCH, "{} is no thread of {}", tid, pid);
  return dir;
}

}  // namespace obit
