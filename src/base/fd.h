#pragma once

#include <cerrno>
#include <utility>

#include <unistd.h>

namespace obit {

/// Owns one descriptor and closes it exactly once. Borrow with get(); no implicit int.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {  // through a temporary: safe for self-move
    Fd taken(std::move(other));
    std::swap(fd_, taken.fd_);
    return *this;
  }
  ~Fd() { Reset(); }

  explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int get() const noexcept { return fd_; }
  /// Gives the descriptor up to the caller.
  [[nodiscard]] int Release() noexcept { return std::exchange(fd_, -1); }
  /// Closes now. Keeps errno: it may run between a failing call and the look at its errno.
  void Reset() noexcept {
    if (fd_ < 0) return;
    const int saved = errno;
    ::close(std::exchange(fd_, -1));  // EINTR: Linux has closed it already, so never retry
    errno = saved;
  }

 private:
  int fd_ = -1;
};

}  // namespace obit
