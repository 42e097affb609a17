#include "base/user_ranges.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

/// Below it are a host's own services (UID_MIN of login.defs(5)).
constexpr uid_t kFirstOfPeople = 1000;
constexpr std::size_t kTextMax = std::size_t{1} << 20;  // bytes: some 30,000 users

}  // namespace

UserRanges::UserRanges(std::string_view text) {
  constexpr std::uint64_t kLast = std::numeric_limits<uid_t>::max() - 1;
  for (const std::string_view line : Split(text, '\n')) {
    const auto fields = Split(Trim(line), ':');
    if (fields.size() != 3) continue;
    const auto first = ParseUnsigned(fields[1]), count = ParseUnsigned(fields[2]);
    // A range with the host's own services in it would make many of them one.
    if (!first || !count || *count == 0 || *first < kFirstOfPeople || *first > kLast) continue;
    const auto last = static_cast<uid_t>(std::min(*first + std::min(*count, kLast) - 1, kLast));
    uid_t& end = ends_[static_cast<uid_t>(*first)];
    end = std::max(end, last);
  }
  // Those that lie in others are theirs.
  for (auto range = ends_.begin(); range != ends_.end();) {
    const auto next = std::next(range);
    if (next == ends_.end() || next->first > range->second) {
      range = next;
      continue;
    }
    range->second = std::max(range->second, next->second);
    ends_.erase(next);
  }
}

uid_t UserRanges::ShareOf(uid_t uid) const {
  const auto after = ends_.upper_bound(uid);
  if (after == ends_.begin()) return uid;
  const auto range = std::prev(after);
  return uid <= range->second ? range->first : uid;
}

UserRanges ReadUserRanges(const std::string& path) {
  const auto file = ReadFile(path, kTextMax);
  return file ? UserRanges(file->text) : UserRanges();
}

}  // namespace obit
