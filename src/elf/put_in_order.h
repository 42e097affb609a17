#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace obit {

/// Sorts parts of an address space by their addresses, and drops those that begin in another one: hostile
/// headers and notes may claim such.
template <class Part>
void PutInOrder(std::vector<Part>& parts) {
  std::ranges::stable_sort(parts, {}, &Part::begin);
  std::uint64_t end = 0;
  std::erase_if(parts, [&](const Part& part) {
    if (part.begin < end) return true;
    end = part.end;
    return false;
  });
}

}  // namespace obit
