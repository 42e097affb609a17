#include "server/clerk_log.h"

#include <chrono>
#include <utility>

#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

/// Lines that are received between two looks at what else is to be done.
constexpr int kAtOnce = 64;
/// Until the next try, where standard error cannot be waited for.
constexpr std::chrono::milliseconds kPause{100};

}  // namespace

ClerkLog::ClerkLog(EventLoop& loop, Fd lines) : loop_(loop), lines_(std::move(lines)) {
  // Another number than 2, which no owner here may close.
  if (const int fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); fd >= 0) error_ = Fd(fd);
  GiveLogTo([this](Severity severity, std::string_view text) { Add({severity, std::string(text)}); });
  if (!lines_) return;
  if (auto readable = loop_.OnReadable(lines_, [this] { Receive(); }))
    readable_ = std::move(*readable);
  else
    Log(Severity::kWarning, "the log of obitd's other processes is not read: {}", readable.error().what);
}

ClerkLog::~ClerkLog() {
  Flush();
  GiveLogTo({});
}

void ClerkLog::Receive() {
  for (int left = kAtOnce; left > 0; --left) {
    auto line = ReceiveLogLine(lines_);
    if (line) {
      dropped_ += line->dropped;
      Add(std::move(*line));
    } else if (line.error().code != EBADMSG) {
      return;  // there is no more now
    }
  }
}

void ClerkLog::Add(LogMessage line) {
  if (waiting_.size() >= kLinesMax) {
    ++dropped_;
    ++untold_;
    return;
  }
  if (untold_ > 0) waiting_.push_back(DroppedLines(std::exchange(untold_, 0)));
  waiting_.push_back(std::move(line));
  if (!writable_) Write();
}

void ClerkLog::Write() {
  writable_ = EventSource();
  while (!waiting_.empty()) {
    if (!TryLogLine(waiting_.front().severity, waiting_.front().text)) return AwaitRoom();
    waiting_.pop_front();
  }
}

void ClerkLog::AwaitRoom() {
  auto room = loop_.OnWritable(error_, [this] { Write(); });
  if (!room) room = loop_.After(kPause, [this] { Write(); });
  if (room) writable_ = std::move(*room);
}

void ClerkLog::Flush() {
  if (readable_) Receive();
  Write();
}

}  // namespace obit
