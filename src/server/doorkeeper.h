#pragma once

#include "base/fd.h"
#include "server/door_board.h"
#include "server/process_inspector.h"
#include "server/role.h"

namespace obit {

/// What an inspector needs to stand at the door: at the coredump socket itself, while a crash loop runs of
/// which nothing is kept any more. He turns those crashes away that the board names, and counts them there;
/// all others he leads to the manager, as they came. So a crash that is only counted costs one process one
/// wakeup (docs/benchmarks.md), where two would wake each other twice.
///
/// Nobody's deadline suffers: he asks nothing that can wait for a file system or a lock (crash_glance.h), he
/// can always be killed, the manager sees it when he does not move, and accepts meanwhile.
struct Door {
  Fd listener;  ///< the coredump socket, non-blocking: others accept from it too
  Fd passage;   ///< SOCK_SEQPACKET: a message of one byte with a connection for each crash that is led on
};

/// Until no crash has been to be turned away for kLinger, or the manager's socket has something, be it its
/// end.
void KeepDoor(const Door& door, const Fd& manager, DoorBoard& board, const PeerIdentifier& peers,
              ProcessInspector& inspector);

}  // namespace obit
