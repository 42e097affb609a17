#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/result.h"

struct sd_event;
struct sd_event_source;

namespace obit {

/// A thing that the event loop waits for. It stops waiting when this object goes.
class EventSource {
 public:
  struct State;
  EventSource() noexcept;
  explicit EventSource(std::unique_ptr<State> state) noexcept;
  EventSource(EventSource&&) noexcept;
  EventSource& operator=(EventSource&&) noexcept;
  ~EventSource();

  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  std::unique_ptr<State> state_;
};

/// The thread's one loop (sd-event(3)): every callback runs on it, one at a time. A callback may drop any
/// source, its own too.
class EventLoop {
 public:
  [[nodiscard]] static Result<EventLoop> Create();
  EventLoop(EventLoop&&) noexcept;
  EventLoop& operator=(EventLoop&&) = delete;
  ~EventLoop();

  /// Calls back whenever `fd` can be read, or has ended. The caller keeps `fd` open as long as the source.
  [[nodiscard]] Result<EventSource> OnReadable(const Fd& fd, std::function<void()> callback);
  /// The same whenever `fd` can be written. EPERM: it is a regular file, which always can.
  [[nodiscard]] Result<EventSource> OnWritable(const Fd& fd, std::function<void()> callback);
  /// Calls back once, `delay` from now.
  [[nodiscard]] Result<EventSource> After(std::chrono::nanoseconds delay, std::function<void()> callback);
  /// Calls back for each delivery of `signal`, which is blocked from here on.
  [[nodiscard]] Result<EventSource> OnSignal(int signal, std::function<void()> callback);
  /// Calls back once when child `pid` has died, with its wait status; it is reaped. `or_stopped`: also when a
  /// signal stopped it, with that signal for a status.
  [[nodiscard]] Result<EventSource> OnChild(int pid, std::function<void(int status)> callback,
                                            bool or_stopped = false);

  /// Runs until Stop().
  [[nodiscard]] Result<void> Run();
  void Stop();

 private:
  explicit EventLoop(sd_event* event) : event_(event) {}
  Result<EventSource> OnEvents(const Fd& fd, std::uint32_t events, std::function<void()> callback);
  sd_event* event_ = nullptr;
};

}  // namespace obit
