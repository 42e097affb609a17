// obit-pipe: the usermode helper of core_pattern "|...". The kernel starts it for each crash, as root, with
// the core on descriptor 0, the pidfd on 3 (%F), and 1 and 2 closed. It hands both to obitd and exits:
// nothing of the crash is read here. It waits for nothing but obitd's answer, and not long: whatever goes
// wrong, the crashed process is released by its exit, and the kernel log has a line.

#include <array>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "kernel/pipe_handover.h"

namespace obit {
namespace {

/// Descriptors 1 and 2 come closed: whatever is opened next would get these numbers and be written to by
/// accident.
void FillStandardDescriptors() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) {
      const int null = ::open("/dev/null", O_WRONLY);
      if (null >= 0 && null != fd) {
        ::dup2(null, fd);
        ::close(null);
      }
    }
}

void WriteKernelLog(const Error& error) {
  const auto log = Open("/dev/kmsg", O_WRONLY);
  const std::string line = fmt::format("<3>obit-pipe: {}\n", EscapeControls(error.what));
  if (log)
    (void)WriteAll(*log, line);
  else
    (void)WriteAll(Fd(::dup(STDERR_FILENO)), line);
}

Result<void> Run(int argc, char** argv) {
  if (argc < 3)
    return Refuse(
        EINVAL,
        "usage: core_pattern \"|obit-pipe SOCKET F%F P%P I%I s%s t%t d%d c%c U%u\"; see obit-pipe(8)");
  const PipeMessage message = OBIT_TRY(ParsePipeArguments(argc - 2, argv + 2));
  constexpr int kPidfd = 3;  // fixed by the kernel
  const std::array<int, 2> fds{STDIN_FILENO, kPidfd};
  OBIT_TRY_IN(HandOver(argv[1], message, std::span(fds).first(message.has_pidfd != 0 ? 2 : 1)),
              "core of process {} is lost", message.pid);
  return {};
}

}  // namespace
}  // namespace obit

int main(int argc, char** argv) {
  obit::FillStandardDescriptors();
  ::signal(SIGPIPE, SIG_IGN);
  if (const auto done = obit::Run(argc, argv); !done) {
    obit::WriteKernelLog(done.error());
    return 1;
  }
  return 0;
}
