#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "analyze/core_image.h"
#include "analyze/registers.h"

namespace obit {

/// The first integer arguments of a call (System V ABI: rdi, rsi, rdx, rcx, r8, r9); those that are not known
/// are absent.
using CallArguments = std::array<std::optional<std::uint64_t>, 6>;

/// What a function passed to the one that it called and that has not returned. Read from its code between
/// `begin`, an address that an instruction begins at (of the function itself, best), and the return address
/// `caller`.pc(): constants, what is kept in the registers that a call preserves, and what lies in the
/// caller's frame. A slot of the frame may have been written since: that is for those who take the value to
/// check. `caller` has the registers as the unwinder found them for the calling frame.
[[nodiscard]] CallArguments FindCallArguments(CoreImage& image, std::uint64_t begin, const Registers& caller);

}  // namespace obit
