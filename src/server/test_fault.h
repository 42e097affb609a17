#pragma once

// For tests: system calls of a whole server that fail.
//
// All processes of the server are forked under a seccomp filter that hands the calls of their path to a
// process of the test (seccomp_unotify(2)): it answers one of them itself, with an error or with less than
// was asked for, and has the kernel go on with all others. A tracer (ptrace(2)) could do the same, but would
// get between the supervisor and its children: each of their deaths and stops would go to the tracer first.

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/syscall.h>

#include "base/test_support.h"
#include "server/test_crashes.h"

namespace obit::testing {

/// Processes of a server, by what they are called.
enum class FaultRole : std::uint8_t { kSupervisor, kManager, kInspector, kWorker, kPump, kClerk };
inline constexpr std::size_t kFaultRoles = 6;
[[nodiscard]] std::string_view NameOf(FaultRole role);

/// In the place of an errno: half of what was asked for is read or written.
inline constexpr int kShortCount = -1;

/// The `nth` call of this number (from 1) that a role makes fails.
struct Fault {
  FaultRole role = FaultRole::kWorker;
  int call = 0;
  std::uint32_t nth = 1;
  int error = 0;  ///< errno, or kShortCount
};
/// "the 3rd pwrite64 of obitd-capture: ENOSPC"
[[nodiscard]] std::string Describe(const Fault& fault);
/// What can become of this call.
[[nodiscard]] std::span<const int> ErrorsOf(int call);

/// The process that answers. One for a test, and for one server after the other.
class FaultInjector {
 public:
  /// Forks it.
  FaultInjector();

  /// In the server, before it forks: from here on its calls are seen.
  void WatchThisProcess();

  /// Counts begin anew; this fault is injected once.
  void Arm(const Fault& fault);
  /// The same without a fault.
  void Count();
  /// No more faults.
  void Disarm();
  /// Since Arm().
  [[nodiscard]] bool hit() const { return board_->hit; }
  /// Calls of a role since then, by number.
  [[nodiscard]] std::uint32_t calls(FaultRole role, int call) const;
  /// All that any role has made, ever.
  [[nodiscard]] std::uint64_t seen() const { return board_->seen; }
  /// All faults that calls counted since Count() can have.
  [[nodiscard]] std::vector<Fault> FaultsOf(FaultRole role) const;

 private:
  static constexpr std::size_t kCalls = 512;
  struct Board {
    std::atomic<int> listener{-1};  // a descriptor of `server`; -1: nobody has one to give
    std::atomic<pid_t> server{0};
    std::atomic<bool> armed{false}, hit{false};
    std::atomic<std::uint64_t> seen{0};
    Fault fault;
    std::array<std::array<std::atomic<std::uint32_t>, kCalls>, kFaultRoles> counts{};
  };

  [[noreturn]] void Run();
  void Answer(int listener);

  SharedMemory<Board> memory_;
  Board* const board_ = memory_.get();
  std::optional<Child> injector_;
};

}  // namespace obit::testing
