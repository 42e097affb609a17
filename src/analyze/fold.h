#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace obit {

/// A part of a stack: frames [first, first + count), `times` times in a row.
struct StackPart {
  std::size_t first = 0, count = 0;
  std::uint64_t times = 1;
};

/// Splits a stack (pcs, innermost first) into parts, in order and without gaps. A cycle of at most 512
/// frames that goes round at least 4 times is one part with one round of it; all else has `times` 1. It stops
/// once the parts have `most` frames, the rounds that they stand for not counted.
[[nodiscard]] std::vector<StackPart> FoldRecursion(std::span<const std::uint64_t> pcs,
                                                   std::size_t most = SIZE_MAX);

}  // namespace obit
