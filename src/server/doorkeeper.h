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
/// He asks nothing that can wait for a file system or a lock (crash_glance.h), so SIGKILL ends him; what he
/// had stands on the board, and is recorded. The manager sees it when he does not move, and accepts
/// meanwhile.
struct DoorPost {
  Fd listener;  ///< the coredump socket, non-blocking: others accept from it too
  Fd passage;   ///< SOCK_SEQPACKET: for each crash that is led on a Passing, with its connection
};

/// Until no crash has been to be turned away for a moment, or the manager's socket has something, be it its
/// end.
void KeepDoor(const DoorPost& post, const Fd& manager, DoorBoard& board, const PeerIdentifier& peers,
              ProcessInspector& inspector);

}  // namespace obit
