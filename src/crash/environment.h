#pragma once

#include <optional>
#include <string_view>

namespace obit {

/// Which variables of a process' environment a report keeps. It tends to hold passwords and keys.
enum class EnvironmentKept {
  kNone,
  kAllowList,  ///< those that change how programs run, and are no secrets
  kAll,
};
[[nodiscard]] std::string_view NameOf(EnvironmentKept kept);
[[nodiscard]] std::optional<EnvironmentKept> EnvironmentKeptNamed(std::string_view name);

/// True if `variable`, "NAME=value", may be kept.
[[nodiscard]] bool IsKept(std::string_view variable, EnvironmentKept kept);

}  // namespace obit
