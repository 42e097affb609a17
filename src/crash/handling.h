#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "crash/environment.h"

namespace obit {

/// What of a store has to go first, where something has to.
enum class RetentionClass : std::uint8_t {
  kNormal,
  kShort,  ///< early, and before all others
  kKeep,   ///< for no age, and after all others
};
[[nodiscard]] std::string_view NameOf(RetentionClass retention);
[[nodiscard]] std::optional<RetentionClass> RetentionClassNamed(std::string_view name);

/// What is done with a crash once it is stored, where a rule says so: it stays as it was when the crash came.
/// What is not set is done as the rest of the configuration says.
struct CrashHandling {
  std::optional<EnvironmentKept> environment;
  std::optional<bool> analyze, hooks;
  RetentionClass retention = RetentionClass::kNormal;
  bool operator==(const CrashHandling&) const = default;
};

}  // namespace obit
