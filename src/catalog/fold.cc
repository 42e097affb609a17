#include "catalog/fold.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "crash/loop_reason.h"

namespace obit {
namespace {

/// So long before the last core of a loop its others may have come, ns: a window of the usual configuration.
constexpr std::int64_t kWindow = 3'600'000'000'000;

/// What is the same program's crash at the same place.
struct Kin {
  GroupKey group;
  std::string_view comm, exe;
  std::optional<uid_t> uid;
  int signal = 0;
  auto operator<=>(const Kin&) const = default;
};

/// The crash that this one came after, as its record says; empty: none.
std::string_view LikeOf(const CrashSummary& crash) { return crash.has_core() ? "" : LoopOf(crash.reason); }

/// A loop is called by the id of the crash that the others were counted after.
std::string_view NameOf(const CrashSummary& crash) { return crash.location.id; }

/// The loop of each crash, in their order; empty: it is of none.
std::vector<std::string_view> LoopsOf(std::span<const CrashSummary> crashes) {
  std::vector<std::string_view> loops(crashes.size());
  std::map<std::string_view, bool> known;  // whether others came after such a crash
  for (const CrashSummary& crash : crashes) {
    if (crash.repeats > 0) known[NameOf(crash)] = true;
    if (const auto like = LikeOf(crash); !like.empty()) known[like] = true;
  }
  std::map<Kin, const CrashSummary*> next;  // the next loop at that place
  for (std::size_t i = crashes.size(); i-- > 0;) {
    const CrashSummary& crash = crashes[i];
    const bool names_one = known.contains(NameOf(crash));
    loops[i] = names_one ? NameOf(crash) : LikeOf(crash);
    if (!crash.group || !crash.has_core()) continue;
    const Kin kin{*crash.group, crash.comm, crash.exe, crash.uid, crash.signal};
    if (names_one) {
      next[kin] = &crash;
    } else if (const auto later = next.find(kin); later != next.end() && crash.time <= later->second->time &&
                                                  later->second->time - crash.time < kWindow) {
      loops[i] = NameOf(*later->second);
    }
  }
  return loops;
}

FoldedCrash LineOf(const CrashSummary& crash) {
  return {.crash = &crash, .time = LastOf(crash), .all = 1 + crash.repeats, .members = {&crash}};
}

}  // namespace

std::int64_t LastOf(const CrashSummary& crash) { return std::max(crash.time, crash.last_repeat); }

void GroupLoops(std::span<CrashSummary> crashes) {
  std::map<std::string_view, const CrashSummary*> kept;
  for (const CrashSummary& crash : crashes)
    if (crash.group) kept.emplace(NameOf(crash), &crash);
  for (CrashSummary& crash : crashes) {
    if (crash.group) continue;
    if (const auto like = kept.find(LikeOf(crash)); like != kept.end()) crash.group = like->second->group;
  }
}

std::vector<FoldedCrash> Unfolded(std::span<const CrashSummary> crashes) {
  std::vector<FoldedCrash> lines;
  lines.reserve(crashes.size());
  for (const CrashSummary& crash : crashes) lines.push_back(LineOf(crash));
  return lines;
}

std::vector<FoldedCrash> FoldLoops(std::span<const CrashSummary> crashes) {
  const auto loops = LoopsOf(crashes);
  std::vector<FoldedCrash> lines;
  std::map<std::string_view, std::size_t> of_loop;  // in `lines`
  for (std::size_t i = 0; i < crashes.size(); ++i) {
    const CrashSummary& crash = crashes[i];
    const auto known = loops[i].empty() ? of_loop.end() : of_loop.find(loops[i]);
    if (known == of_loop.end()) {
      if (!loops[i].empty()) of_loop.emplace(loops[i], lines.size());
      lines.push_back(LineOf(crash));
      continue;
    }
    FoldedCrash& line = lines[known->second];
    line.time = std::max(line.time, LastOf(crash));
    line.all += 1 + crash.repeats;
    if (crash.has_core() || !line.crash->has_core()) line.crash = &crash;
    line.members.push_back(&crash);
  }
  // By the place of the newest one, which is the order in which they crashed: clocks jump.
  std::ranges::sort(lines, {}, [](const FoldedCrash& line) { return line.members.back(); });
  return lines;
}

std::vector<CrashSummary> CrashesOf(std::span<const FoldedCrash> lines) {
  std::vector<const CrashSummary*> members;
  for (const FoldedCrash& line : lines)
    members.insert(members.end(), line.members.begin(), line.members.end());
  std::ranges::sort(members);
  std::vector<CrashSummary> crashes;
  crashes.reserve(members.size());
  for (const CrashSummary* crash : members) crashes.push_back(*crash);
  return crashes;
}

std::string CountText(std::uint64_t all, std::size_t kept) {
  return all == kept ? std::to_string(kept) : fmt::format("{}, {} kept", all, kept);
}

}  // namespace obit
