#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/result.h"
#include "kernel/core_pattern.h"
#include "process/privileges.h"

namespace obit {

/// Who listens on a socket.
struct Listener {
  pid_t pid = 0;     ///< 0: of a pid namespace that cannot be seen from here
  std::string comm;  ///< of that process; empty if not known
  Capabilities capabilities =
      0;      ///< that it can have: obitd itself uses none, but the processes that it forks do
  User user;  ///< that it is
};

/// Finds out by connecting, and says nothing: obitd knows by that and by its user that no stranger came.
/// ENOENT and ECONNREFUSED: nobody listens. EACCES: the caller may not look.
[[nodiscard]] Result<Listener> FindListener(const Endpoint& endpoint);

/// What the kernel wants of the path of a coredump socket beyond its text (SocketCorePattern): it follows no
/// symlink. EINVAL. What is not there yet is fine.
[[nodiscard]] Result<void> CheckSocketPath(const std::string& path);

/// EPERM: this process is not in the mount namespace that the host booted into, from where alone the kernel
/// takes a socket's path. Where that cannot be seen, the kernel's own verdict has to do.
[[nodiscard]] Result<void> CheckMountNamespace();

/// The transport that this kernel is best at; a name of `obit enable --transport`, "auto" included. EINVAL:
/// no such name.
[[nodiscard]] Result<Transport> ChooseTransport(const std::string& name);

/// "request socket (@@)", "socket (@)", "pipe": as people call it.
[[nodiscard]] std::string Describe(Transport transport);

}  // namespace obit
