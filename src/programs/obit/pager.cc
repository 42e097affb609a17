#include "pager.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "common.h"

namespace obit {
namespace {

/// What a shell gives back when it does not find the command.
constexpr int kNotFound = 127;

/// Lines that the page takes on the terminal; those that wrap take more.
std::size_t LinesOf(std::string_view page, std::size_t width) {
  std::size_t lines = 0;
  while (!page.empty()) {
    const std::size_t end = std::min(page.find('\n'), page.size() - 1);
    // Colours are counted as cells: a page that just fits may go to the pager, which quits by itself.
    lines += 1 + (width > 0 && end > 0 ? (DisplayWidth(page.substr(0, end)) - 1) / width : 0);
    page.remove_prefix(end + 1);
  }
  return lines;
}

/// Becomes the pager, reading from `input`. -F quits if all fits, -R keeps colours, -X leaves the page on the
/// screen.
[[noreturn]] void BecomePager(const char* command, int input) {
  if (::dup2(input, STDIN_FILENO) >= 0) {
    if (command != nullptr) {
      const std::string kept = command;  // setenv(3) may end what getenv(3) gave
      ::setenv("LESS", "FRX", 0);
      ::execl("/bin/sh", "sh", "-c", kept.c_str(), nullptr);
    } else {
      ::execlp("less", "less", "-FRX", nullptr);
    }
  }
  ::_exit(kNotFound);
}

Result<void> PrintThrough(const char* command, const std::string& page) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return Fail(errno, "make a pipe to the pager");
  Fd input(ends[0]), output(ends[1]);
  const pid_t pager = ::fork();
  if (pager < 0) return Fail(errno, "start the pager");
  if (pager == 0) BecomePager(command, input.get());
  input.Reset();
  // Ctrl-C is for the pager, which stays; and one that is left early makes writes fail, not kill.
  struct sigaction ignore{}, interrupt{}, broken_pipe{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGINT, &ignore, &interrupt);
  ::sigaction(SIGPIPE, &ignore, &broken_pipe);
  const auto written = WriteAll(output, page);
  output.Reset();
  int status = 0;
  while (::waitpid(pager, &status, 0) < 0 && errno == EINTR) {
  }
  ::sigaction(SIGINT, &interrupt, nullptr);
  ::sigaction(SIGPIPE, &broken_pipe, nullptr);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotFound)
    Print(page);
  else if (!written && written.error().code != EPIPE)
    return std::unexpected(Error(written.error()).In("pager"));
  return {};
}

}  // namespace

ExitCode PrintPage(const std::string& page, const Terminal& terminal, bool no_pager) {
  const char* command = std::getenv("PAGER");
  const bool unwanted =
      no_pager || (command != nullptr && (*command == '\0' || std::string_view(command) == "cat"));
  if (!terminal.interactive || unwanted || LinesOf(page, terminal.width) < terminal.height)
    Print(page);
  else if (const auto printed = PrintThrough(command, page); !printed)
    return Failed(printed.error());
  return ExitCode::kDone;
}

}  // namespace obit
