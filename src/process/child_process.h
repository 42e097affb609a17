#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "process/command.h"
#include "process/event_loop.h"
#include "process/undead_children.h"

namespace obit {

/// A program that was started, and has so long to end. What it says is read, and the end of that kept. It and
/// its process group are over when this object says so, or goes.
class ChildProcess {
 public:
  struct End {
    std::string failure;    ///< "ended with status 3", "was killed by SIGSEGV", ...; empty: it ended with 0
    std::string last_line;  ///< of what it said, without its own name; may be empty
  };

  /// `done` is called once, on the loop, and may drop the process. One that is killed and does not die is
  /// then left to `undead`, which outlives it if there is one. Fails if it cannot be started.
  [[nodiscard]] static Result<std::unique_ptr<ChildProcess>> Start(EventLoop& loop, Command command,
                                                                   std::chrono::seconds timeout,
                                                                   std::function<void(const End&)> done,
                                                                   UndeadChildren* undead = nullptr);
  /// Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(ChildProcess&&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Its death is the end; `why` ("did not end within 60 s") is the failure then.
  void Kill(std::string why);

  /// How long a killed process may take to die before it is left behind: it may wait for a dead file server.
  static constexpr std::chrono::seconds kGrace{5};

 private:
  ChildProcess(EventLoop& loop, std::string name, std::function<void(const End&)> done,
               UndeadChildren* undead)
      : loop_(loop), name_(std::move(name)), done_(std::move(done)), undead_(undead) {}
  Result<void> Watch(std::chrono::seconds timeout);
  bool TakeWords();
  void OnDeath(int status);
  void Finish(std::string failure);

  EventLoop& loop_;
  std::string name_;  // what its own messages begin with
  std::function<void(const End&)> done_;
  UndeadChildren* undead_;
  pid_t pid_ = -1;
  Fd words_;  // its output and standard error
  EventSource words_readable_, death_, deadline_;
  std::string last_words_;  // the end of what it said
  std::string killed_;      // why this object killed it
};

/// A pipe from a child; its read end does not block.
struct ChildPipe {
  Fd read, write;
};
[[nodiscard]] Result<ChildPipe> MakeChildPipe();

/// Appends what is there to read, at most 64 KiB. False: nothing is. Drops `source` at the end of file.
[[nodiscard]] bool ReadSome(const Fd& fd, std::string& text, EventSource& source);

}  // namespace obit
