// Pipes and the pumps that read them. A pump turns the pipe of a helper into a socket, which a worker can
// hold and the manager can hang up.

#include <fcntl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/unix_socket.h"
#include "server/manager_process.h"
#include "server/message_bytes.h"

namespace obit {
/// Makes of the crash's connection what a pump is to fill. The pipe stays here until a worker is told.
Result<void> ManagerProcess::MakePumpSocket(OpenCrash& crash) {
  SocketPair pair = OBIT_TRY(MakeSocketPair(SOCK_STREAM));
  ::fcntl(pair.second.get(), F_SETFL, O_NONBLOCK);
  crash.pump_end = std::move(pair.first);
  crash.connection = std::move(pair.second);
  return {};
}

/// No worker could be told: it is again as it came.
void ManagerProcess::DropPumpSocket(OpenCrash& crash) {
  if (!crash.pipe) return;
  crash.pump_end.Reset();
  crash.connection.Reset();
}

/// To the pump of the worker that was told. Where it cannot be given yet it is tried again: the worker waits
/// as for any process that is slow, and no longer.
void ManagerProcess::GivePipe(CrashKey key, OpenCrash& crash) {
  Member* pump = Pump(*crash.pump);
  if (!crash.pump_end || IsGone(pump)) return;  // released meanwhile; its successor gets it (OnFilled)
  const PumpJob job{};
  const auto sent = SendMessage(pump->socket, BytesOf(job), NumbersOf({&crash.pipe, &crash.pump_end}));
  if (sent) {
    crash.pipe.Reset();
    crash.pump_end.Reset();
    pump->crash = key;
  } else if (IsShortage(sent.error())) {
    give_pipes_at_ = MonotonicNow() + kShortagePause;
  } else {
    KillMember(*pump, "it could not be given a pipe");
  }
}

void ManagerProcess::GivePipes() {
  give_pipes_at_ = INT64_MAX;
  for (auto& [key, crash] : crashes_)
    if (crash.pump_end) GivePipe(key, crash);
}

}  // namespace obit
