#include "process/launch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

namespace obit {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// fork(2) that can give the child to the caller's parent. What the C library remembers of the process is
/// wrong in the child: until it executes a program it may make system calls and no more.
pid_t Clone(LaunchParent parent) {
  const unsigned long flags = SIGCHLD | (parent == LaunchParent::kParentOfCaller ? CLONE_PARENT : 0UL);
  return static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
}

/// The child of a launch, on its way to be the program.
class Child {
 public:
  Child(const std::vector<int>& fds, const Fd& program, const Fd& failure, pid_t parent)
      : count_(static_cast<int>(fds.size())),
        program_(program ? program.get() : -1),
        failure_(failure.get()),
        parent_(parent) {
    for (int i = 0; i < count_; ++i) fds_[i] = fds[i];
  }

  [[noreturn]] void Become(char* const* argv, char* const* envp) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent_) ::_exit(127);  // it died before the line above
    ArrangeDescriptors();
    ::setpgid(0, 0);
    for (int number = 1; number < NSIG; ++number)
      ::signal(number, SIG_DFL);  // fails for SIGKILL and the like
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (program_ >= 0) ::syscall(SYS_execveat, program_, "", argv, envp, AT_EMPTY_PATH);
    // Also a script that was opened: its interpreter has to find it by a path.
    if (program_ < 0 || errno == ENOENT) ::execve(argv[0], argv, envp);
    Fail();
  }

 private:
  /// First all of them above the numbers that they are to get, then down: none overwrites another.
  void ArrangeDescriptors() {
    for (int i = 0; i < count_; ++i) fds_[i] = Move(fds_[i]);
    if (program_ >= 0) program_ = Move(program_);
    failure_ = Move(failure_);
    for (int i = 0; i < count_; ++i)
      if (::dup2(fds_[i], i) < 0) Fail();  // takes O_CLOEXEC away
    failure_ = Place(failure_, count_);
    if (program_ >= 0) program_ = Place(program_, count_ + 1);
    ::close_range(static_cast<unsigned>(count_) + (program_ >= 0 ? 2 : 1), ~0U, 0);
  }
  int Move(int fd) {
    if (fd >= count_ + 2) return fd;
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, count_ + 2);
    if (moved < 0) Fail();
    return moved;
  }
  int Place(int fd, int number) {
    if (::dup3(fd, number, O_CLOEXEC) < 0) Fail();
    return number;
  }
  [[noreturn]] void Fail() {
    const int error = errno;
    ::signal(SIGPIPE, SIG_IGN);  // nobody may wait for it any more
    [[maybe_unused]] const auto told = ::write(failure_, &error, sizeof error);
    ::_exit(127);
  }

  int count_, program_, failure_;
  pid_t parent_;
  std::array<int, kLaunchFdsMax> fds_{};
};

/// False: that takes too long.
bool WaitToBegin(const Fd& told) {
  const std::int64_t deadline = MonotonicNow() + std::chrono::nanoseconds(kLaunchPatience).count();
  for (;;) {
    const std::int64_t left = (deadline - MonotonicNow()) / 1'000'000;  // ms
    pollfd ready{told.get(), POLLIN, 0};
    const int found = ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (found != 0 && !(found < 0 && errno == EINTR)) return true;
    if (left <= 0) return false;
  }
}

}  // namespace

Result<Launched> LaunchProgram(const Launch& launch, const Fd& program, LaunchParent parent) {
  if (launch.fds.size() > kLaunchFdsMax)
    return Refuse(EMFILE, "start {}: {} descriptors", launch.program, launch.fds.size());
  std::vector<std::string> words{launch.program};
  words.insert(words.end(), launch.arguments.begin(), launch.arguments.end());
  const auto argv = Pointers(words), envp = Pointers(launch.environment);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return Fail(errno, "start {}", launch.program);
  const Fd told(ends[0]);
  Fd failure(ends[1]);
  const pid_t parent_pid = parent == LaunchParent::kCaller ? ::getpid() : ::getppid();
  Launched launched{.pid = Clone(parent)};
  if (launched.pid < 0) return Fail(errno, "start {}", launch.program);
  if (launched.pid == 0) Child(launch.fds, program, failure, parent_pid).Become(argv.data(), envp.data());
  failure.Reset();
  if (!WaitToBegin(told)) return launched;
  ssize_t n;
  do n = ::read(told.get(), &launched.error, sizeof launched.error);
  while (n < 0 && errno == EINTR);
  if (n != sizeof launched.error) launched.error = 0;  // its end was closed by the program's beginning
  return launched;
}

}  // namespace obit
