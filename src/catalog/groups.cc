#include "catalog/groups.h"

#include <algorithm>
#include <functional>
#include <map>

namespace obit {
namespace {

constexpr std::size_t kDigitsMin = 6;
constexpr std::size_t kNamed = 3;  // groups that a message names

}  // namespace

std::vector<CrashGroup> GroupCrashes(std::span<const CrashSummary> crashes) {
  std::vector<CrashGroup> groups;
  std::map<GroupKey, std::size_t> known;  // index in `groups`
  for (const CrashSummary& crash : crashes) {
    if (!crash.group) continue;
    const auto [at, is_new] = known.try_emplace(*crash.group, groups.size());
    if (is_new) groups.push_back({*crash.group, {}});
    groups[at->second].crashes.push_back(&crash);
  }
  // By the place in the list, which is the order in which they crashed: clocks jump.
  std::ranges::sort(groups, std::less(), [](const CrashGroup& group) { return group.crashes.back(); });
  return groups;
}

std::string GroupId(const GroupKey& key) { return fmt::format("{:016x}", key.value); }

std::size_t GroupDigits(std::span<const CrashGroup> groups) {
  std::vector<std::string> ids;
  for (const CrashGroup& group : groups) ids.push_back(GroupId(group.key));
  std::ranges::sort(ids);
  std::size_t digits = kDigitsMin;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    const auto differs = std::ranges::mismatch(ids[i - 1], ids[i]).in1 - ids[i - 1].begin();
    // Two versions may share a value: no number of digits helps there.
    if (ids[i - 1] != ids[i]) digits = std::max(digits, static_cast<std::size_t>(differs) + 1);
  }
  return digits;
}

Result<const CrashGroup*> SelectGroup(std::span<const CrashGroup> groups, std::string_view selector) {
  std::map<std::string, const CrashGroup*> matching;
  for (const CrashGroup& group : groups) {
    const std::string id = GroupId(group.key);
    if (selector.empty() || !id.starts_with(selector)) continue;
    const CrashGroup*& chosen = matching[id];
    if (chosen == nullptr || chosen->key.version < group.key.version) chosen = &group;
  }
  if (matching.empty()) return Refuse(ENOENT, "no group matches \"{}\" (obit groups)", selector);
  if (matching.size() == 1) return matching.begin()->second;
  std::string names;
  std::size_t named = 0;
  for (const auto& [id, group] : matching) {
    if (++named > kNamed) break;
    names += (named == 1 ? "" : ", ") + id.substr(0, GroupDigits(groups));
  }
  return Refuse(ENOTUNIQ, "\"{}\" matches {} groups: {}{}. Give more digits", selector, matching.size(),
                names, matching.size() > kNamed ? ", ..." : "");
}

}  // namespace obit
