#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "analyze/instruction.h"

namespace obit {

/// Decodes the aarch64 instruction that `bytes` begin with. Nothing: it is none.
[[nodiscard]] std::optional<Instruction> DecodeAarch64(std::span<const std::byte> bytes,
                                                       std::uint64_t address);

}  // namespace obit
