#include "catalog/list.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <span>

#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "catalog/fold.h"
#include "catalog/groups.h"
#include "catalog/selector.h"
#include "common.h"
#include "crash/record_json.h"
#include "crash_table.h"
#include "render/page.h"
#include "render/units.h"
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
  return crashes;
}

/// A group is looked into crash by crash, and programs want each.
std::vector<FoldedCrash> LinesOf(std::span<const CrashSummary> crashes, const ListOptions& options) {
  return options.all || options.json || !options.group.empty() ? Unfolded(crashes) : FoldLoops(crashes);
}

/// Keeps those of the lines that --since and --last ask for, and knows of these what stands beside a crash.
/// To look there takes most of the time of a list: only as many are looked at as may be in it.
std::expected<std::vector<CrashSummary>, ExitCode> Cut(const Store& store, std::vector<CrashSummary> crashes,
                                                       const ListOptions& options) {
  constexpr std::int64_t kWindowMax = 86'400'000'000'000;  // ns: so long one may be counted after another
  std::int64_t begin = 0;
  if (!options.since.empty()) {
    const auto since = SinceOf(options.since);
    if (!since) return std::unexpected(since.error());
    begin = *since;
    std::erase_if(crashes, [&](const CrashSummary& crash) { return crash.time < begin - kWindowMax; });
  }
  const auto all = LinesOf(crashes, options);
  for (std::size_t most = options.last > 0 ? options.last + 1 : all.size();; most *= 2) {
    auto looked_at = CrashesOf(std::span(all).last(std::min(most, all.size())));
    DropRemoved(store, looked_at);
    auto lines = LinesOf(looked_at, options);
    std::erase_if(lines, [&](const FoldedCrash& line) { return line.time < begin; });
    if (options.last > 0 && lines.size() < options.last && most < all.size()) continue;
    if (options.last > 0 && lines.size() > options.last)
      lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(options.last));
    return CrashesOf(lines);
  }
}

/// An array of whole records. One that went away meanwhile is left out; one that cannot be read is told.
ExitCode PrintRecords(const Store& store, const std::vector<CrashSummary>& crashes) {
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
    std::string text(Trim(RecordToJson(*record)));
    if (crash.repeats > 0)
      if (const auto repeats = store.LoadRepeats(crash.location)) {
        text.pop_back();  // "}"
        text = fmt::format("{},\n  \"repeats\": {}\n}}", Trim(text), Trim(RepeatsToJson(*repeats)));
      }
    PrintJson(text);
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

void PrintTable(const std::string& store, const std::vector<CrashSummary>& crashes, std::size_t hidden,
                const ListOptions& options) {
  const Terminal terminal = TerminalOf(STDOUT_FILENO);
  Print(RenderCrashTable(LinesOf(crashes, options), CauseColumn::kShow, terminal, RealtimeNow()));
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
  GroupLoops(list->crashes);
  auto crashes = Filter(std::move(list->crashes), options);
  if (crashes) crashes = Cut(*store, std::move(*crashes), options);
  if (!crashes) return crashes.error();

  ExitCode code = ExitCode::kDone;
  if (options.json)
    code = PrintRecords(*store, *crashes);
  else
    PrintTable(store_path, *crashes, list->hidden, options);
  for (const BrokenCrash& broken : list->broken) code = Failed(broken.why);
  for (const BrokenCrash& partial : list->partial) code = Failed(partial.why);
  for (const UnreadableDay& day : list->unreadable) code = Failed(day.why);
  return code;
}

}  // namespace obit
