#include "server/background.h"

#include <span>
#include <string_view>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

constexpr int kNicest = 19;
// include/uapi/linux/ioprio.h, which no C++ compiler takes.
// The idle class could be kept from the disk for as long as others use it, and the memory with it.
constexpr int kBestEffortClass = 2, kLowestLevel = 7, kClassShift = 13;

/// The file is root's while the process is undumpable (proc(5)): for a moment it is not. Nobody but obitd has
/// its uid.
Fd OpenScore() {
  const int before = ::prctl(PR_GET_DUMPABLE);
  ::prctl(PR_SET_DUMPABLE, 1);
  auto opened = Open("/proc/self/oom_score_adj", O_WRONLY);
  if (before == 0) ::prctl(PR_SET_DUMPABLE, 0);
  return opened ? *std::move(opened) : Fd();
}

}  // namespace

Background::Background() : score_(OpenScore()) {}

/// What cannot be lowered stays: the copy is made all the same.
void Background::Enter() const {
  ::setpriority(PRIO_PROCESS, 0, kNicest);
  ::syscall(SYS_ioprio_set, kIoprioOfProcess, 0, kBestEffortClass << kClassShift | kLowestLevel);
  constexpr std::string_view kFirst = "1000";  // OOM_SCORE_ADJ_MAX of include/uapi/linux/oom.h
  if (score_) (void)WriteAllAt(score_, std::as_bytes(std::span(kFirst)), 0);
}

}  // namespace obit
