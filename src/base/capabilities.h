#pragma once

#include <cstdint>

#include <linux/capability.h>

#include "base/result.h"

namespace obit {

/// A set of capabilities(7), a bit for each.
using Capabilities = std::uint64_t;
[[nodiscard]] constexpr Capabilities CapabilityBit(int capability) { return Capabilities{1} << capability; }

/// Those that the process can use now.
[[nodiscard]] Result<Capabilities> EffectiveCapabilities();

/// Keeps no more than these, which are in effect then, and none that a program would inherit.
[[nodiscard]] Result<void> KeepCapabilities(Capabilities kept);

/// The same, but none is in effect: for a process whose children take theirs by KeepCapabilities().
[[nodiscard]] Result<void> LayDownCapabilities(Capabilities kept);

/// Takes away what an execve(2) could give: no_new_privs, no ambient capabilities, and an empty bounding set
/// where the process may empty it.
[[nodiscard]] Result<void> ForbidNewPrivileges();

}  // namespace obit
