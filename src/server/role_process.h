#pragma once

#include <functional>
#include <initializer_list>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "manager/seat.h"

namespace obit {

/// A child that was forked to sit on a seat.
struct RoleProcess {
  pid_t pid = -1;
  Fd pidfd;
  Fd socket;  ///< SOCK_SEQPACKET; the other end is the child's
};

/// Forks a child that dies with its parent, is undumpable, has the name of its role, ignores the signals of a
/// terminal and runs `life` with its end of a socket pair, by which only a manager can send descriptors. The
/// caller has no other thread.
[[nodiscard]] Result<RoleProcess> ForkRole(Role role, const std::function<void(Fd socket)>& life);

/// What each such child is before its life; `name` has at most 15 bytes. `parent` is who forked it.
void BecomeChild(const char* name, pid_t parent);

/// In a child: leaves it with the standard descriptors, `kept` (as KeepOnly) and, if it is not empty, `log`,
/// to which its lines go from here on.
void KeepWithLog(std::initializer_list<Fd*> kept, Fd log);

/// "died of SIGSEGV", "exited with status 1", "was stopped", of a status as wait(2) tells it.
[[nodiscard]] std::string DescribeEnd(int status);

}  // namespace obit
