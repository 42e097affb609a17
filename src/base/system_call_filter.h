#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include <seccomp.h>

#include "base/result.h"

namespace obit {

/// What becomes of a system call that a filter does not name.
enum class UnnamedCalls : std::uint8_t {
  /// It fails with ENOSYS: libraries take that for a kernel without it. With OBIT_SYSTEM_CALLS=kill in the
  /// environment it ends the process by SIGSYS instead: so tests find what is missing.
  kRefused,
  kAllowed,
};

/// A seccomp(2) filter that is being put together. The first error stays, and Load() tells it.
class SystemCallFilter {
 public:
  explicit SystemCallFilter(UnnamedCalls unnamed = UnnamedCalls::kRefused);

  void Allow(std::span<const int> calls) { AddAll(SCMP_ACT_ALLOW, calls); }
  void Allow(std::initializer_list<int> calls) { AddAll(SCMP_ACT_ALLOW, {calls.begin(), calls.size()}); }
  /// The call ends the process, without a core.
  void Kill(std::span<const int> calls) { AddAll(SCMP_ACT_KILL_PROCESS, calls); }
  void Refuse(int error, std::span<const int> calls) {
    AddAll(SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), calls);
  }
  /// The same for calls with such arguments only. Rules of one call may not contradict each other: the first
  /// that matches in libseccomp's own order wins.
  void AllowIf(int call, std::initializer_list<scmp_arg_cmp> arguments) {
    Add(SCMP_ACT_ALLOW, call, arguments);
  }
  void RefuseIf(int error, int call, std::initializer_list<scmp_arg_cmp> arguments) {
    Add(SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), call, arguments);
  }

  /// mmap(2) and mprotect(2), but never for code.
  void AllowMemoryWithoutCode();
  /// Commands of fcntl(2) that concern descriptors; not F_SETOWN, which sends signals.
  void AllowDescriptorControl();
  /// abort(3), and getrlimit(3) of the process itself.
  void AllowOfItself();

  /// From here on it holds for this thread and those that it starts. The caller has set no_new_privs.
  [[nodiscard]] Result<void> Load();

 private:
  void Add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments);
  void AddAll(std::uint32_t action, std::span<const int> calls);
  void Note(int result) {
    if (error_ == 0) error_ = -result;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  std::uint32_t default_action_;
  int error_ = 0;
};

/// Comparisons of the argument number `index`.
[[nodiscard]] scmp_arg_cmp Equals(unsigned index, std::uint64_t value);
[[nodiscard]] scmp_arg_cmp Masked(unsigned index, std::uint64_t mask, std::uint64_t value);

/// Calls that every process of obit needs: to read and write what is open, to manage memory, to ask for the
/// time, to end.
[[nodiscard]] std::span<const int> BasicCalls();
/// Calls that nothing in obit or in a library of it makes once it is confined: to start programs, to reach
/// other processes and the network, to change the system, or where the kernel does much for a caller and had
/// its holes. Whoever needs one of them names it in `needed`.
[[nodiscard]] std::vector<int> DeadlyCalls(std::initializer_list<int> needed = {});

}  // namespace obit
