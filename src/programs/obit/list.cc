#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <span>

#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "common.h"
#include "crash/record_json.h"
#include "crash_table.h"
#include "render/page.h"
#include "render/units.h"
#include "store/groups.h"
#include "store/selector.h"
#include "verbs.h"

namespace obit {
namespace {

/// Keeps what the options ask for, oldest first.
std::expected<std::vector<CrashSummary>, ExitCode> Filter(std::vector<CrashSummary> crashes,
                                                          const ListOptions& options) {
  if (!options.group.empty()) {
    const auto groups = GroupCrashes(crashes);
    const auto group = SelectGroup(groups, options.group);
    if (!group) return std::unexpected(NotSelected(group.error()));
    const GroupKey key = (*group)->key;
    std::erase_if(crashes, [&](const CrashSummary& crash) { return crash.group != key; });
  }
  if (!options.selectors.empty()) {
    std::set<CrashLocation> wanted;
    for (const std::string& selector : options.selectors) {
      const auto matching = MatchingCrashes(crashes, selector);
      if (matching.empty()) return std::unexpected(NotSelected(SelectCrash(crashes, selector).error()));
      for (const CrashSummary& crash : matching) wanted.insert(crash.location);
    }
    std::erase_if(crashes, [&](const CrashSummary& crash) { return !wanted.contains(crash.location); });
  }
  if (const ExitCode code = KeepSince(crashes, options.since); code != ExitCode::kDone)
    return std::unexpected(code);
  if (options.last > 0 && crashes.size() > options.last)
    crashes.erase(crashes.begin(), crashes.end() - static_cast<std::ptrdiff_t>(options.last));
  return crashes;
}

/// An array of whole records. One that went away meanwhile is left out; one that cannot be read is told.
ExitCode PrintJson(const Store& store, const std::vector<CrashSummary>& crashes) {
  ExitCode code = ExitCode::kDone;
  bool first = true;
  Print("[");
  for (const CrashSummary& crash : crashes) {
    const auto record = store.Load(crash.location);
    if (!record) {
      if (record.error().code != ENOENT) code = Failed(record.error());
      continue;
    }
    Print(first ? "\n" : ",\n");
    Print(Trim(RecordToJson(*record)));
    first = false;
  }
  Print(first ? "]\n" : "\n]\n");
  return code;
}

/// What is said of crashes that are somebody else's.
std::string HiddenText(std::size_t shown, std::size_t hidden) {
  if (hidden == 0) return {};
  const std::string others = FormatCount(hidden, "crash");
  return shown == 0 ? fmt::format(" of yours, {} of others", others) : fmt::format("; {} of others", others);
}

/// ". 31 more of imgproxy were counted, not kept (crash loop)": those that repeated most, by name.
std::string RepeatsText(std::span<const CrashSummary> crashes) {
  constexpr std::size_t kNamed = 3;
  std::map<std::string, std::uint64_t> by_program;
  std::uint64_t all = 0;
  for (const CrashSummary& crash : crashes) {
    if (crash.repeats == 0) continue;
    by_program[ProgramName(crash.comm, crash.exe)] += crash.repeats;
    all += crash.repeats;
  }
  if (all == 0) return {};
  std::vector<std::pair<std::uint64_t, std::string>> programs;
  programs.reserve(by_program.size());
  for (const auto& [program, repeats] : by_program) programs.emplace_back(repeats, program);
  std::ranges::sort(programs, std::greater());
  std::vector<std::string> names;
  for (const auto& [repeats, program] : std::span(programs).first(std::min(programs.size(), kNamed)))
    names.push_back(EscapeForTerminal(program));
  if (programs.size() > kNamed) names.push_back("others");
  return fmt::format(". {} more of {} {} counted, not kept (crash loop)", all, Join(names, ", "),
                     all == 1 ? "was" : "were");
}

void PrintTable(const std::string& store, const std::vector<CrashSummary>& crashes, std::size_t hidden) {
  const Terminal terminal = TerminalOf(STDOUT_FILENO);
  Print(RenderCrashTable(crashes, CauseColumn::kShow, terminal, RealtimeNow()));
  const std::string command = EscapeForTerminal(CommandFor(store));
  Print(Footer(CountCrashes(crashes) + HiddenText(crashes.size(), hidden) + RepeatsText(crashes),
               crashes.empty() ? "" : fmt::format("{0} show ID · {0} gdb ID", command), terminal));
}

}  // namespace

ExitCode List(const std::string& store_path, const ListOptions& options) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto list = ListStore(*store);
  if (!list) return list.error();
  auto crashes = Filter(std::move(list->crashes), options);
  if (!crashes) return crashes.error();
  DropRemoved(*store, *crashes);

  ExitCode code = ExitCode::kDone;
  if (options.json)
    code = PrintJson(*store, *crashes);
  else
    PrintTable(store_path, *crashes, list->hidden);
  for (const BrokenCrash& broken : list->broken) code = Failed(broken.why);
  return code;
}

}  // namespace obit
