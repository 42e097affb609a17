#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "catalog/summary.h"

namespace obit {

/// A line of a list: a crash, or a crash loop, with what was only counted.
struct FoldedCrash {
  const CrashSummary* crash = nullptr;       ///< the newest with a core; of those without a core the newest
  std::int64_t time = 0;                     ///< the last one, also if it was only counted; ns since 1970
  std::uint64_t all = 1;                     ///< those that were only counted included
  std::vector<const CrashSummary*> members;  ///< those that are kept, oldest first

  [[nodiscard]] std::size_t kept() const { return members.size(); }
};

/// Makes one line of each crash loop: of the crash that others were counted after, of those without a core
/// whose records name it, and of the cores of its program, group, user and signal that came within an hour
/// before it. `crashes` and the lines: oldest first, by the newest one that was kept.
[[nodiscard]] std::vector<FoldedCrash> FoldLoops(std::span<const CrashSummary> crashes);
/// One line for each crash, with what was counted after it.
[[nodiscard]] std::vector<FoldedCrash> Unfolded(std::span<const CrashSummary> crashes);
/// The crashes of these lines, oldest first.
[[nodiscard]] std::vector<CrashSummary> CrashesOf(std::span<const FoldedCrash> lines);

/// Gives crashes of a loop without a core, which nobody analyses, the group of the one that they came after.
void GroupLoops(std::span<CrashSummary> crashes);

/// When it crashed, or the last one that was counted after it; ns since 1970.
[[nodiscard]] std::int64_t LastOf(const CrashSummary& crash);

/// "225, 4 kept"; "4" if all are.
[[nodiscard]] std::string CountText(std::uint64_t all, std::size_t kept);

}  // namespace obit
