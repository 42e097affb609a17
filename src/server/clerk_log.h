#pragma once

#include <cstdint>
#include <deque>

#include "base/fd.h"
#include "base/log.h"
#include "process/event_loop.h"

namespace obit {

/// The log of all of obitd's processes: lines come from their socket and from the clerk itself, and go to
/// standard error as fast as that takes them. Nothing waits for it; lines beyond kLinesMax are dropped and
/// counted.
class ClerkLog {
 public:
  static constexpr std::size_t kLinesMax = 1000;

  /// Takes the lines of this process too (GiveLogTo), as long as it lives. `lines` may be empty. `loop`
  /// outlives it.
  ClerkLog(EventLoop& loop, Fd lines);
  ~ClerkLog();
  ClerkLog(ClerkLog&&) = delete;

  /// Takes what waits in the socket, and writes what can be written.
  void Flush();
  /// All processes together, as far as they have told.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  void Receive();
  void Add(LogMessage line);
  void Write();
  void AwaitRoom();

  EventLoop& loop_;
  Fd lines_, error_;  // error_: standard error, to wait for
  std::deque<LogMessage> waiting_;
  std::uint64_t dropped_ = 0, untold_ = 0;
  EventSource readable_, writable_;
};

}  // namespace obit
