#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace obit {

/// What one of obitd's processes does (docs/security-model.md says what each may).
enum class Role : std::uint8_t {
  kSupervisor,
  kManager,
  kInspector,  ///< looks into crashed processes
  kWorker,     ///< captures
  kPump,       ///< holds the pipe of a capture
  kClerk,      ///< writes the store's books and the log
};
/// "supervisor", "manager", ...
[[nodiscard]] std::string_view NameOf(Role role);

/// A place for one process of a role. Whoever sits there may die and be replaced: the generation tells one
/// from the next.
struct Seat {
  Role role = Role::kInspector;
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  auto operator<=>(const Seat&) const = default;
};

/// A crash, as one manager counts them from 1: never used twice while it lives.
using CrashKey = std::uint64_t;

}  // namespace obit
