#pragma once

#include <cstdint>
#include <string>

namespace obit {

/// "1.2 GiB", "300 MiB", "12 KiB".
[[nodiscard]] std::string Rounded(std::uint64_t bytes);

}  // namespace obit
