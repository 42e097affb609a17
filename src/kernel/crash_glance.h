#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "kernel/pidfd.h"
#include "kernel/process_stat.h"

namespace obit {

/// A crash as one glance shows it: by calls that wait for nothing and nobody, each of the pid alone. Two that
/// look the same within a moment are of one user, cgroup and place, and of programs of one path: almost
/// always of one crash site. That one wants a core and the other does not, or another mount namespace has
/// another program there, it does not show (Door::Sighted).
///
/// Only those have one that crashed in the program's own code, by a signal of the processor, in the first
/// thread, with one identity and no capability: for all others where they crashed is not told by one address.
struct CrashGlance {
  std::uint32_t uid = 0;
  std::int32_t signal = 0;
  std::uint64_t cgroup = 0;
  std::uint64_t code_bytes = 0, offset = 0;  ///< of the program's code; of the crash in it
  bool root_only = false;
  std::string comm;
  std::string program;  ///< its path, in whatever mount namespace
};

/// The caller holds a pidfd of `known`, and checks it after the call. `proc` is /proc.
[[nodiscard]] std::optional<CrashGlance> GlanceAt(const Fd& proc, const PidfdInfo& known);
/// The same where `stat` of the process is known.
[[nodiscard]] std::optional<CrashGlance> GlanceAt(const Fd& proc, const PidfdInfo& known,
                                                  const ProcessStat& stat);

/// In any user namespace, as far as the kernel's security modules show it: also where that cannot be told.
[[nodiscard]] bool MayBeCapable(pid_t pid);
/// True of a signal that a program sends itself when it gives up, as abort(3) does: where that happens tells
/// little.
[[nodiscard]] bool MeansGivingUp(int signal);

}  // namespace obit
