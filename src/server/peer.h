#pragma once

#include "server/role.h"

namespace obit {

/// Who connected, as the running kernel tells it. Asks by getsockopt(2) and ioctl(2) of a pidfd alone, and by
/// pidfd_open(2) and poll(2) for a pid alone: no file is opened, so nothing waits.
///
/// Whether the kernel's dump mode tells a privileged process stands in a file (fs.suid_dumpable): for an
/// inspector to say (ProcessInspector::SubjectOf).
[[nodiscard]] PeerIdentifier KernelPeers();

}  // namespace obit
