#pragma once

#include <string_view>

#include <fmt/format.h>

namespace obit {

/// syslog(3) severities, by number.
enum class Severity { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6 };

/// Names the program before each line of Log(). Call once, first thing in main.
void SetLogName(std::string_view name);

/// Standard error is read by the journal (systemd.exec(5), JOURNAL_STREAM).
[[nodiscard]] bool LogsToJournal();

/// One line to standard error: "obitd: TEXT", or "<N>TEXT" where the journal reads it (sd-daemon(3)).
/// Programs log, libraries return errors. Control characters in `text` are escaped: it may quote a crashed
/// process. A backslash stays one: what is escaped already is not escaped twice. Never waits for
/// the journal: a line that it does not take at once is lost.
void LogLine(Severity severity, std::string_view text);

template <class... A>
void Log(Severity severity, fmt::format_string<A...> text, A&&... args) {
  LogLine(severity, fmt::format(text, std::forward<A>(args)...));
}

}  // namespace obit
