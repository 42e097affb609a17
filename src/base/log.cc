#include "base/log.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"

namespace obit {
namespace {

/// Where the lines of this process go. It is the process' as a whole, as is standard error.
struct LogState {
  std::string name = "obit";
  bool never_waits = false;
  std::optional<Fd> socket;
  std::function<void(Severity, std::string_view)> writer;
  std::atomic<std::uint64_t> dropped = 0;  // since it was last told
};
LogState& State() {
  static LogState state;
  return state;
}

/// What goes before the text of a message: a Severity; or kDroppedMark, and the text is a number.
constexpr char kDroppedMark = 0;

std::string LineOf(Severity severity, std::string_view text) {
  const std::string safe = EscapeControls(text);
  return LogsToJournal() ? fmt::format("<{}>{}\n", static_cast<int>(severity), safe)
                         : fmt::format("{}: {}\n", State().name, safe);
}

enum class Sent { kYes, kNotNow, kNoSocket };

/// The journal may be what crashed, and wait for whoever writes here.
Sent SendToJournalStream(const std::string& line) {
  if (!LogsToJournal()) return Sent::kNoSocket;
  if (::send(STDERR_FILENO, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::kYes;
  if (errno == ENOTSOCK) return Sent::kNoSocket;
  return errno == EAGAIN || errno == ENOBUFS ? Sent::kNotNow : Sent::kYes;  // nobody reads there any more
}

/// Writes to standard error what it takes at once. A pipe that can be written takes PIPE_BUF bytes.
bool WriteAtOnce(std::string line) {
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&ready, 1, 0) == 0) return false;
  if ((ready.revents & (POLLERR | POLLNVAL)) != 0) return true;  // nobody reads there any more
  struct stat status{};
  const bool is_pipe = ::fstat(STDERR_FILENO, &status) == 0 && S_ISFIFO(status.st_mode);
  if (is_pipe && line.size() > PIPE_BUF) {
    line.resize(PIPE_BUF - 1);
    line += '\n';
  }
  // Others write there too: what was free a moment ago need not be. Not every kind of file, and before Linux
  // 6.4 no pipe, knows a write that does not wait; a system call filter may not either.
  const iovec part{line.data(), line.size()};
  if (::pwritev2(STDERR_FILENO, &part, 1, -1, RWF_NOWAIT) >= 0) return true;
  if (is_pipe && errno == EAGAIN) return false;
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  return true;  // there is nobody to tell if it failed
}

bool SendLine(const Fd& socket, char mark, std::string_view text) {
  text = text.substr(0, kLogTextMax);
  std::array<iovec, 2> parts{iovec{&mark, 1}, iovec{const_cast<char*>(text.data()), text.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return ::sendmsg(socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/// The lines that were dropped before, then this one.
void LogOrDrop(Severity severity, std::string_view text) {
  LogState& log = State();
  const auto pass = [&log](char mark, const LogMessage& line) {
    if (log.socket) return SendLine(*log.socket, mark, line.text);
    return TryLogLine(line.severity, line.text);
  };
  if (const std::uint64_t dropped = log.dropped.load(); dropped > 0) {
    LogMessage told = DroppedLines(dropped);
    if (log.socket) told.text = std::to_string(dropped);
    if (pass(kDroppedMark, told)) log.dropped -= dropped;
  }
  if (log.dropped > 0 || !pass(static_cast<char>(severity), {severity, std::string(text)})) ++log.dropped;
}

}  // namespace

void SetLogName(std::string_view name) { State().name = name; }

bool LogsToJournal() {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  return journal;
}

void LogLine(Severity severity, std::string_view text) {
  const LogState& log = State();
  if (log.writer) return log.writer(severity, text);
  if (log.socket || log.never_waits) return LogOrDrop(severity, text);
  const std::string line = LineOf(severity, text);
  if (SendToJournalStream(line) != Sent::kNoSocket) return;
  // One write: lines of several processes on one terminal stay whole. There is nobody to tell if it fails.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

void NeverWaitToLog() { State().never_waits = true; }

bool TryLogLine(Severity severity, std::string_view text) {
  std::string line = LineOf(severity, text);
  const Sent sent = SendToJournalStream(line);
  return sent == Sent::kNoSocket ? WriteAtOnce(std::move(line)) : sent == Sent::kYes;
}

void SendLogTo(Fd socket) {
  State().socket.reset();
  if (socket) State().socket = std::move(socket);
}

void GiveLogTo(std::function<void(Severity, std::string_view)> writer) { State().writer = std::move(writer); }

LogMessage DroppedLines(std::uint64_t count) {
  return {Severity::kWarning, fmt::format("{} lines of the log were dropped here: its reader is slow", count),
          count};
}

Result<LogMessage> ReceiveLogLine(const Fd& socket) {
  std::array<char, kLogTextMax + 1> buffer;
  ssize_t got;
  do got = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0) return Fail(errno, "receive a line of the log");
  // Such a socket has no end: an empty message is one that somebody sent.
  if (got == 0) return Refuse(EBADMSG, "what was received is no line of the log");
  const std::string_view text(buffer.data() + 1, static_cast<std::size_t>(got) - 1);
  if (buffer[0] == kDroppedMark) {
    const auto count = ParseUnsigned(text);
    if (!count || *count == 0) return Refuse(EBADMSG, "what was received is no line of the log");
    return DroppedLines(*count);
  }
  if (buffer[0] < static_cast<char>(Severity::kError) || buffer[0] > static_cast<char>(Severity::kInfo))
    return Refuse(EBADMSG, "what was received is no line of the log");
  return LogMessage{static_cast<Severity>(buffer[0]), std::string(text)};
}

}  // namespace obit
