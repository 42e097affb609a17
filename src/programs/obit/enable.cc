#include <sys/socket.h>

#include "base/log.h"
#include "base/text.h"
#include "common.h"
#include "kernel/core_pattern.h"
#include "kernel/pipe_message.h"
#include "kernel/version.h"
#include "listener.h"
#include "pattern_owner.h"
#include "process/helper.h"
#include "verbs.h"

namespace obit {
namespace {

/// The pattern for a transport, if everything that the kernel will need is in place.
Result<std::string> MakePattern(Transport transport, const EnableOptions& options) {
  if (transport == Transport::kPipe)
    return PipeCorePattern(OBIT_TRY(FindHelper("obit-pipe")), options.pipe_socket);
  const KernelVersion version = OBIT_TRY(ParseKernelVersion(KernelRelease()));
  if (version < (transport == Transport::kSocket ? kFirstWithSocket : kFirstWithSocketRequest))
    return Refuse(ENOTSUP, "Linux {} does not know the transport {}: use --transport auto", KernelRelease(),
                  Describe(transport));
  OBIT_TRY(CheckSocketPath(options.socket));
  OBIT_TRY(CheckMountNamespace());
  return SocketCorePattern(transport, options.socket);
}

/// A pattern that leads nowhere loses every core.
Result<void> CheckSomebodyListens(Transport transport, const EnableOptions& options) {
  const Endpoint endpoint = transport == Transport::kPipe ? Endpoint{options.pipe_socket, SOCK_SEQPACKET}
                                                          : Endpoint{options.socket, SOCK_STREAM};
  const auto listener = FindListener(endpoint);
  if (listener) return {};
  return Refuse(listener.error().code,
                "nobody listens on {} ({}), and every core would be lost: start obitd first, or use --force",
                endpoint.path, std::generic_category().message(listener.error().code));
}

/// Sets the pattern. If that fails at any point, everything is as it was.
Result<void> Set(Transport transport, const std::string& pattern) {
  const std::string before = OBIT_TRY(ReadCorePattern());
  const unsigned limit_before = OBIT_TRY(ReadCorePipeLimit());
  const auto saved = OBIT_TRY(LoadSavedPattern());
  // What obit itself set is not what to go back to.
  SavedPattern next = saved && IsObits(before, saved) ? *saved : SavedPattern{before, limit_before, ""};
  if (!saved && IsObits(before, saved)) next.pattern = "core";  // the kernel's own default is the best guess
  next.ours = pattern;
  OBIT_TRY(StoreSavedPattern(next));
  // Before the pattern: who sets all sysctls from now on sets this one, too.
  if (const auto kept = KeepThroughSysctl(pattern); !kept)
    Log(Severity::kWarning, "sysctl --system may set another pattern: {}", kept.error().what);

  // With a limit, the kernel drops the crashes beyond it, and waits for helpers; obitd reads /proc before it
  // drains the pipe, so there is nothing to wait for.
  Result<void> set;
  if (transport == Transport::kPipe) set = WriteCorePipeLimit(0);
  if (set) set = WriteCorePattern(pattern);
  if (set) return {};
  (void)(saved ? KeepThroughSysctl(saved->ours) : LeaveSysctl());
  (void)WriteCorePattern(before);
  (void)WriteCorePipeLimit(limit_before);
  (void)(saved ? StoreSavedPattern(*saved) : ForgetSavedPattern());
  // The path was checked; what is left is a rule of the kernel that /proc cannot always tell (pid 1 may be
  // elsewhere).
  if (set.error().code == EINVAL && transport != Transport::kPipe)
    return Refuse(EINVAL, "{} (the kernel takes a socket only from its first mount namespace)",
                  set.error().what);
  return set;
}

}  // namespace

ExitCode Enable(const EnableOptions& options) {
  const auto transport = ChooseTransport(options.transport);
  if (!transport) return Failed(transport.error());
  const auto pattern = MakePattern(*transport, options);
  if (!pattern) return Failed(pattern.error());
  if (const auto listens = CheckSomebodyListens(*transport, options); !listens) {
    if (!options.force) return Failed(listens.error());
    Log(Severity::kWarning, "nobody listens there yet: until obitd does, every core is lost");
  }
  const auto lock = LockCorePattern(kPatternLockSeconds);
  if (!lock) return Failed(lock.error());
  if (const auto set = Set(*transport, *pattern); !set) return Failed(set.error());
  Print(fmt::format("core_pattern is now {} ({}). obit doctor --crash tries it; obit disable undoes it.\n",
                    EscapeForTerminal(*pattern), Describe(*transport)));
  return ExitCode::kDone;
}

}  // namespace obit
