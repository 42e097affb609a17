#include "analyze/fold.h"

#include <algorithm>

namespace obit {
namespace {

constexpr std::size_t kCycleMax = 512;
constexpr std::size_t kLengthsTried = 16;  // at each frame
constexpr std::uint64_t kTimesMin = 4;
/// Comparisons. A stack can be made so that each of its frames begins many cycles that break off late.
constexpr std::uint64_t kWorkMax = 256 << 20;

class Folder {
 public:
  explicit Folder(std::span<const std::uint64_t> pcs) : pcs_(pcs) {}

  /// The recursion that begins at `at`; a cycle ends where its first frame comes again.
  StackPart PartAt(std::size_t at) {
    const std::size_t longest = std::min<std::size_t>(kCycleMax, (pcs_.size() - at) / kTimesMin);
    std::size_t tried = 0;
    for (std::size_t count = 1; count <= longest && tried < kLengthsTried && work_ < kWorkMax; ++count) {
      ++work_;
      if (pcs_[at + count] != pcs_[at]) continue;
      ++tried;
      // Most that are none are told by that.
      if (pcs_[at + 2 * count] != pcs_[at] || pcs_[at + 3 * count] != pcs_[at]) continue;
      const std::uint64_t times = Rounds(at, count);
      if (times >= kTimesMin) return {.first = at, .count = count, .times = times};
    }
    return {.first = at, .count = 1};
  }

 private:
  /// How often the `count` frames at `first` stand there in a row.
  std::uint64_t Rounds(std::size_t first, std::size_t count) {
    std::size_t same = count;
    while (first + same < pcs_.size() && pcs_[first + same] == pcs_[first + same - count]) ++same;
    work_ += same - count;
    return same / count;
  }

  std::span<const std::uint64_t> pcs_;
  std::uint64_t work_ = 0;
};

}  // namespace

std::vector<StackPart> FoldRecursion(std::span<const std::uint64_t> pcs, std::size_t most) {
  std::vector<StackPart> parts;
  Folder folder(pcs);
  std::size_t frames = 0;
  for (std::size_t at = 0; at < pcs.size() && frames < most;) {
    const StackPart part = folder.PartAt(at);
    frames += part.count;
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
