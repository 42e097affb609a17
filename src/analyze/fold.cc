#include "analyze/fold.h"

#include <algorithm>

namespace obit {
namespace {

constexpr std::size_t kCycleMax = 16;
constexpr std::uint64_t kTimesMin = 4;

/// How often the `count` frames at `first` stand there in a row.
std::uint64_t Rounds(std::span<const std::uint64_t> pcs, std::size_t first, std::size_t count) {
  std::size_t same = count;
  while (first + same < pcs.size() && pcs[first + same] == pcs[first + same - count]) ++same;
  return same / count;
}

}  // namespace

std::vector<StackPart> FoldRecursion(std::span<const std::uint64_t> pcs) {
  std::vector<StackPart> parts;
  for (std::size_t at = 0; at < pcs.size();) {
    StackPart part{.first = at, .count = 1};
    for (std::size_t count = 1; count <= std::min(kCycleMax, pcs.size() - at); ++count) {
      const std::uint64_t times = Rounds(pcs, at, count);
      if (times < kTimesMin) continue;
      part = {.first = at, .count = count, .times = times};
      break;
    }
    const bool joins = part.times == 1 && !parts.empty() && parts.back().times == 1;
    if (joins)
      parts.back().count += 1;
    else
      parts.push_back(part);
    at += part.count * part.times;
  }
  return parts;
}

}  // namespace obit
