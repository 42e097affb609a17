#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/result.h"

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

// A process that must not wait for whoever reads its log: a full pipe, a terminal that is held.

/// From here on a line is written only if standard error takes it at once. One that it does not take is
/// dropped; the next that is written comes after one that says how many were. The flags of standard error
/// stay as they are: other processes have it too.
void NeverWaitToLog();
/// The same for one line, of which the caller keeps what is not taken. False: not now.
[[nodiscard]] bool TryLogLine(Severity severity, std::string_view text);

// One process that writes the lines of others.

/// Bytes of a line that is passed on; the rest is cut off.
inline constexpr std::size_t kLogTextMax = 4096;

/// From here on a line is a message to `socket` (SOCK_DGRAM), for ReceiveLogLine of another process. What
/// does not fit is dropped, as above. An empty Fd: to standard error again.
void SendLogTo(Fd socket);
/// From here on lines are given to `writer`.
void GiveLogTo(std::function<void(Severity, std::string_view)> writer);

struct LogMessage {
  Severity severity = Severity::kNotice;
  std::string text;
  std::uint64_t dropped = 0;  ///< not 0: the line only says that so many were dropped
};
/// The line for dropped ones.
[[nodiscard]] LogMessage DroppedLines(std::uint64_t count);
/// What SendLogTo sent from elsewhere. Never waits. EAGAIN: there is none; EBADMSG: what came is no line.
[[nodiscard]] Result<LogMessage> ReceiveLogLine(const Fd& socket);

}  // namespace obit
