#include "kernel/crash_glance.h"

#include <array>
#include <climits>
#include <csignal>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/proc_text.h"
#include "kernel/process.h"

namespace obit {

bool MayBeCapable(pid_t pid) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, pid};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &header, sets) < 0) return true;
  return IsCapable(std::uint64_t{sets[1].permitted} << 32 | sets[0].permitted);
}

bool MeansGivingUp(int signal) { return signal == SIGABRT || signal == SIGILL || signal == SIGTRAP; }

std::optional<CrashGlance> GlanceAt(const Fd& proc, const PidfdInfo& known) {
  std::array<char, 4096> room;
  const auto text = ReadOnce(proc, fmt::format("{}/stat", known.pid), room);
  if (!text) return std::nullopt;
  const auto stat = ParseProcessStat(*text);
  return stat ? GlanceAt(proc, known, *stat) : std::nullopt;
}

std::optional<CrashGlance> GlanceAt(const Fd& proc, const PidfdInfo& known, const ProcessStat& stat) {
  if (!stat.dumps_core() || stat.id != known.pid || !known.uid || !known.one_identity || known.cgroup == 0)
    return std::nullopt;
  const int signal = stat.fatal_signal();
  if (stat.pc < stat.code_begin || stat.pc >= stat.code_end || signal == 0 || MeansGivingUp(signal))
    return std::nullopt;
  if (*known.uid != 0 && MayBeCapable(stat.id)) return std::nullopt;
  std::array<char, PATH_MAX> path;
  const ssize_t length =
      ::readlinkat(proc.get(), fmt::format("{}/exe", stat.id).c_str(), path.data(), path.size());
  if (length <= 0) return std::nullopt;
  return CrashGlance{.uid = *known.uid,
                     .signal = signal,
                     .cgroup = known.cgroup,
                     .code_bytes = stat.code_end - stat.code_begin,
                     .offset = stat.pc - stat.code_begin,
                     .root_only = known.dump_mode != DumpMode::kUser,
                     .comm = stat.comm,
                     .program = std::string(path.data(), static_cast<std::size_t>(length))};
}

}  // namespace obit
