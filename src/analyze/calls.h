#pragma once

#include <cstdint>
#include <optional>

#include "analyze/core_image.h"

namespace obit {

/// What a call leaves is the address behind itself: the bytes before `address` are a call.
[[nodiscard]] bool IsReturnAddress(CoreImage& image, std::uint64_t address);
/// Where the direct call before `address` leads; nothing: there is none.
[[nodiscard]] std::optional<std::uint64_t> TargetOfCallBefore(CoreImage& image, std::uint64_t address);

}  // namespace obit
