#include "catalog/selector.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kNamed = 3;  // crashes that a message names
constexpr std::size_t kShort = 8;  // digits of an id

std::string NamesOf(std::span<const CrashSummary* const> crashes) {
  std::string names;
  for (const CrashSummary* crash : crashes.first(std::min(crashes.size(), kNamed)))
    names += (names.empty() ? "" : ", ") + ShortName(*crash);
  return crashes.size() > kNamed ? names + ", ..." : names;
}

/// Crashes for which `fits` holds, newest first.
template <class Fits>
std::vector<const CrashSummary*> Matching(std::span<const CrashSummary> crashes, Fits fits) {
  std::vector<const CrashSummary*> matching;
  for (std::size_t i = crashes.size(); i-- > 0;)
    if (fits(crashes[i])) matching.push_back(&crashes[i]);
  return matching;
}

bool HasPid(const CrashSummary& crash, std::string_view selector) {
  return crash.pid > 0 && std::to_string(crash.pid) == selector;
}

bool IsOfProgram(const CrashSummary& crash, std::string_view selector) {
  return crash.comm == selector || FileNameOf(crash.exe) == selector;
}

Selection Newest(const std::vector<const CrashSummary*>& matching) {
  Selection selection{matching.front(), matching.size() - 1, nullptr};
  const auto is_whole = [](const CrashSummary* crash) {
    return crash->outcome == CrashOutcome::kFull && !crash->core_removed;
  };
  if (is_whole(selection.crash)) return selection;
  const auto whole = std::ranges::find_if(matching, is_whole);
  if (whole != matching.end()) selection.whole = *whole;
  return selection;
}

std::unexpected<Error> NoMatch(std::span<const CrashSummary> crashes, std::string_view selector) {
  if (crashes.empty()) return Refuse(ENOENT, "there are no crashes");
  std::vector<const CrashSummary*> newest;
  for (std::size_t i = crashes.size(); i-- > 0 && newest.size() < kNamed;) newest.push_back(&crashes[i]);
  return Refuse(ENOENT, "no crash matches \"{}\". Newest: {} (obit list)", selector, NamesOf(newest));
}

}  // namespace

std::string ShortId(const CrashLocation& crash) { return crash.id.substr(0, kShort); }

std::string ShortName(const CrashSummary& crash) {
  const std::string program = ProgramName(crash.comm, crash.exe);
  return ShortId(crash.location) + (program.empty() ? "" : " " + program);
}

Result<Selection> SelectCrash(std::span<const CrashSummary> crashes, std::string_view selector,
                              Prefer prefer) {
  if (selector.starts_with('@')) {
    const auto n = ParseUnsigned(selector.substr(1));
    if (!n || *n == 0 || *n > crashes.size()) return NoMatch(crashes, selector);
    return Selection{&crashes[crashes.size() - static_cast<std::size_t>(*n)], 0, nullptr};
  }
  if (selector.empty()) return NoMatch(crashes, selector);
  if (const auto same = Matching(crashes, [&](const CrashSummary& c) { return c.location.id == selector; });
      !same.empty())
    return Selection{same.front(), 0, nullptr};
  const auto of_program = Matching(crashes, [&](const CrashSummary& c) { return IsOfProgram(c, selector); });
  if (prefer == Prefer::kProgram && !of_program.empty()) return Newest(of_program);
  const auto of_pid = Matching(crashes, [&](const CrashSummary& c) { return HasPid(c, selector); });
  if (!of_pid.empty()) return Newest(of_pid);
  const auto beginning =
      Matching(crashes, [&](const CrashSummary& c) { return c.location.id.starts_with(selector); });
  if (beginning.size() == 1) return Selection{beginning.front(), 0, nullptr};
  // An id that several share is not clear, unless a program has that very name.
  if (!of_program.empty()) return Newest(of_program);
  if (beginning.size() > 1)
    return Refuse(ENOTUNIQ, "\"{}\" matches {} crashes: {}. Give more digits", selector, beginning.size(),
                  NamesOf(beginning));
  return NoMatch(crashes, selector);
}

std::vector<CrashSummary> MatchingCrashes(std::span<const CrashSummary> crashes, std::string_view selector) {
  std::vector<CrashSummary> matching;
  if (selector.starts_with('@')) {
    if (const auto selected = SelectCrash(crashes, selector)) matching.push_back(*selected->crash);
    return matching;
  }
  std::ranges::copy_if(crashes, std::back_inserter(matching), [&](const CrashSummary& crash) {
    return !selector.empty() && (crash.location.id.starts_with(selector) || HasPid(crash, selector) ||
                                 IsOfProgram(crash, selector));
  });
  return matching;
}

}  // namespace obit
