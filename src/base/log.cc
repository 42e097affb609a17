#include "base/log.h"

#include <cerrno>
#include <cstdlib>
#include <string>

#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

namespace obit {
namespace {

std::string& LogName() {
  static std::string name = "obit";
  return name;
}

}  // namespace

void SetLogName(std::string_view name) { LogName() = name; }

bool LogsToJournal() {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  return journal;
}

void LogLine(Severity severity, std::string_view text) {
  const std::string safe = EscapeControls(text);
  const std::string line = LogsToJournal() ? fmt::format("<{}>{}\n", static_cast<int>(severity), safe)
                                           : fmt::format("{}: {}\n", LogName(), safe);
  // The journal may be what crashed, and wait for whoever writes here.
  if (LogsToJournal() && (::send(STDERR_FILENO, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
                          errno != ENOTSOCK))
    return;
  // One write: lines of several processes on one terminal stay whole. There is nobody to tell if it fails.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace obit
