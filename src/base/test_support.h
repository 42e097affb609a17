#pragma once

// What the unit tests of all layers share. Included by tests only.

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/result.h"

namespace obit::testing {

/// A folder of its own for one test, removed with all in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    path_ = (std::filesystem::temp_directory_path() / "obit-test-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
    fd_ = Fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  TemporaryFolder(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  [[nodiscard]] const Fd& fd() const { return fd_; }

 private:
  std::string path_;
  Fd fd_;
};

/// A child process, killed and reaped at the latest with this object.
class Child {
 public:
  Child() = default;
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Waits for its end; returns the wait status.
  int Wait() {
    int status = -1;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }

 private:
  pid_t pid_ = -1;
};

/// How an attempt of a child ended: with an errno as exit code (0: it worked), or by a signal.
struct Outcome {
  int error = 0, signal = 0;
  bool operator==(const Outcome&) const = default;
};
inline constexpr Outcome kWorked{};
inline constexpr Outcome kDied{0, SIGSYS};  ///< of a system call that nobody may make
inline Outcome OutcomeOf(int status) {
  return WIFSIGNALED(status) ? Outcome{0, WTERMSIG(status)} : Outcome{WEXITSTATUS(status), 0};
}
inline void PrintTo(const Outcome& outcome, std::ostream* out) {
  if (outcome.signal != 0)
    *out << "killed by " << ::strsignal(outcome.signal);
  else
    *out << ::strerror(outcome.error);
}

/// Starts `program` with `arguments` (argv, the name included) and holds it, stopped, before its first
/// instruction: nothing that it does can change what a test sees. `namespaces` are CLONE_NEW* of clone(2). On
/// failure pid() is -1.
inline Child ExecuteStopped(const std::string& program, const std::vector<std::string>& arguments,
                            unsigned long namespaces = 0) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const auto pid =
      static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD | namespaces, nullptr, nullptr, nullptr, 0UL));
  if (pid == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  if (pid < 0) return {};
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return {};  // execv() failed
  Child child(pid);
  ::ptrace(PTRACE_DETACH, pid, nullptr, reinterpret_cast<void*>(SIGSTOP));
  return child;
}

inline std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// EXPECT_THAT(Open(path), FailsWith(ENOENT));
MATCHER_P(FailsWith, code, "fails with errno " + ::testing::PrintToString(code)) {
  if (arg) {
    *result_listener << "it succeeded";
    return false;
  }
  *result_listener << "errno " << arg.error().code << ", " << arg.error().what;
  return arg.error().code == code;
}

/// EXPECT_THAT(Sync(fd), Succeeds());
MATCHER(Succeeds, "succeeds") {
  if (!arg) *result_listener << arg.error().what;
  return arg.has_value();
}

}  // namespace obit::testing
