#include "process/event_loop.h"

#include <csignal>
#include <ctime>

#include <sys/epoll.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

namespace obit {

struct EventSource::State {
  sd_event_source* source = nullptr;
  std::function<void()> callback;
  std::function<void(int)> on_status;
  ~State() { sd_event_source_disable_unref(source); }
};

EventSource::EventSource() noexcept = default;
EventSource::EventSource(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
EventSource::EventSource(EventSource&&) noexcept = default;
EventSource& EventSource::operator=(EventSource&&) noexcept = default;
EventSource::~EventSource() = default;

namespace {

// The callback is copied before the call: it may drop the source that owns it.
void Call(void* data) {
  const auto callback = static_cast<EventSource::State*>(data)->callback;
  callback();
}

int OnIo(sd_event_source*, int, std::uint32_t, void* data) { return Call(data), 0; }
int OnTime(sd_event_source*, std::uint64_t, void* data) { return Call(data), 0; }
int OnSignalled(sd_event_source*, const signalfd_siginfo*, void* data) { return Call(data), 0; }

int OnExit(sd_event_source*, const siginfo_t* info, void* data) {
  const auto callback = static_cast<EventSource::State*>(data)->on_status;
  callback(info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8 : info->si_status & 0x7f);
  return 0;
}

Result<EventSource> Made(int error, std::unique_ptr<EventSource::State> state, const char* what) {
  if (error < 0) return Fail(-error, "watch {}", what);
  return EventSource(std::move(state));
}

}  // namespace

Result<EventLoop> EventLoop::Create() {
  sd_event* event = nullptr;
  if (const int error = sd_event_new(&event); error < 0) return Fail(-error, "make an event loop");
  EventLoop loop(event);
  // The clock has a descriptor, which the first timer makes: whoever waits for a shortage of descriptors to
  // end must have it.
  (void)OBIT_TRY(loop.After(std::chrono::hours(1), [] {}));
  return loop;
}

EventLoop::EventLoop(EventLoop&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
EventLoop::~EventLoop() { sd_event_unref(event_); }

Result<EventSource> EventLoop::OnEvents(const Fd& fd, std::uint32_t events, std::function<void()> callback) {
  auto state = std::make_unique<EventSource::State>();
  state->callback = std::move(callback);
  const int error = sd_event_add_io(event_, &state->source, fd.get(), events, OnIo, state.get());
  return Made(error, std::move(state), "a descriptor");
}

Result<EventSource> EventLoop::OnReadable(const Fd& fd, std::function<void()> callback) {
  return OnEvents(fd, EPOLLIN, std::move(callback));
}

Result<EventSource> EventLoop::OnWritable(const Fd& fd, std::function<void()> callback) {
  return OnEvents(fd, EPOLLOUT, std::move(callback));
}

Result<EventSource> EventLoop::After(std::chrono::nanoseconds delay, std::function<void()> callback) {
  auto state = std::make_unique<EventSource::State>();
  state->callback = std::move(callback);
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(delay).count();
  const int error =
      sd_event_add_time_relative(event_, &state->source, CLOCK_MONOTONIC,
                                 static_cast<std::uint64_t>(microseconds), 0, OnTime, state.get());
  return Made(error, std::move(state), "the clock");
}

Result<EventSource> EventLoop::OnSignal(int signal, std::function<void()> callback) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  auto state = std::make_unique<EventSource::State>();
  state->callback = std::move(callback);
  const int error = sd_event_add_signal(event_, &state->source, signal, OnSignalled, state.get());
  return Made(error, std::move(state), "a signal");
}

Result<EventSource> EventLoop::OnChild(int pid, std::function<void(int)> callback, bool or_stopped) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);  // sd_event_add_child(3) asks for it
  auto state = std::make_unique<EventSource::State>();
  state->on_status = std::move(callback);
  const int error = sd_event_add_child(event_, &state->source, pid, WEXITED | (or_stopped ? WSTOPPED : 0),
                                       OnExit, state.get());
  return Made(error, std::move(state), "a child");
}

Result<void> EventLoop::Run() {
  if (const int error = sd_event_loop(event_); error < 0) return Fail(-error, "wait for events");
  return {};
}

void EventLoop::Stop() { sd_event_exit(event_, 0); }

}  // namespace obit
