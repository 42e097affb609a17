#pragma once

#include <string_view>

namespace obit {

/// A function that ends the process on behalf of its callers: known ones of libraries, and names that consist
/// of nothing but words for that: "die", "log_fatal", "CheckFailed".
[[nodiscard]] bool IsFatalHelper(std::string_view name);

}  // namespace obit
