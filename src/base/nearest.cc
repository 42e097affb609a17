#include "base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace obit {
namespace {

/// Single-character edits that turn `a` into `b` (Levenshtein).
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace

std::string DidYouMean(std::string_view wrong, const std::vector<std::string_view>& names) {
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(2, wrong.size() / 2) + 1;
  for (const std::string_view name : names) {
    // Names that differ so much in length are not alike; it also bounds the work for a long key.
    if (wrong.size() > 2 * name.size()) continue;
    if (const std::size_t distance = Distance(wrong, name); distance < least) {
      least = distance;
      nearest = name;
    }
  }
  return nearest.empty() ? "" : fmt::format(R"(; did you mean "{}"?)", nearest);
}

}  // namespace obit
