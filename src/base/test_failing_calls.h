#pragma once

// For tests: system calls that fail, of a child of the test. Included by tests only.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/test_support.h"

namespace obit::testing {

/// Which calls: those of the number whose `argument` (from 0), of its lower 32 bits, has bits of `mask`.
struct FailingCall {
  unsigned number = 0, argument = 0;
  std::uint32_t mask = 0;
};

/// From here on such calls of this process fail with `error`. False: they do not.
[[nodiscard]] inline bool FailCalls(const FailingCall& call, int error) {
  const auto at =
      static_cast<std::uint32_t>(offsetof(seccomp_data, args) + call.argument * sizeof(std::uint64_t));
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, call.mask, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// From here on another file system is mounted over the file, for this process, which is root (EXDEV of
/// base/inside.h). False: it is not.
[[nodiscard]] inline bool MountOver(const std::string& path) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("/proc/self/mem", path.c_str(), nullptr, MS_BIND, nullptr) == 0;
}

/// True if `what` is, in a child in which `fail` was, too.
[[nodiscard]] inline bool WhereCallsFail(const std::function<bool()>& fail,
                                         const std::function<bool()>& what) {
  Child child(::fork());
  if (child.pid() == 0) ::_exit(!fail() ? 2 : what() ? 0 : 1);
  const int status = child.Wait();
  EXPECT_TRUE(status == 0 || status == 1 << 8) << status;
  return status == 0;
}

}  // namespace obit::testing
