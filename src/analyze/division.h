#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "analyze/core_image.h"
#include "analyze/instruction.h"

namespace obit {

/// The operands of a div or idiv that a thread is at.
struct DivisionOperands {
  std::uint64_t divisor = 0;  ///< of its size: -1 of a byte is 0xff
  bool overflows = false;     ///< the divisor is not 0, and the quotient does not fit
  std::string text;           ///< of the divisor, with its sign: "-1"
  std::string reg;            ///< that the divisor is in; empty if it is in memory
};
/// Nothing: it is at no such instruction, or the divisor is in memory that is not known.
[[nodiscard]] std::optional<DivisionOperands> FindDivision(CoreImage& image, const Instruction& instruction,
                                                           std::span<const std::uint64_t> registers);

}  // namespace obit
