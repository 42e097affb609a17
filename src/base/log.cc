#include "base/log.h"

#include <cstdlib>
#include <string>

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

void LogLine(Severity severity, std::string_view text) {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;  // systemd.exec(5)
  const std::string safe = EscapeForTerminal(text);
  const std::string line = journal ? fmt::format("<{}>{}\n", static_cast<int>(severity), safe)
                                   : fmt::format("{}: {}\n", LogName(), safe);
  // One write: lines of several processes on one terminal stay whole. There is nobody to tell if it fails.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace obit
