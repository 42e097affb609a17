#include "groups.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "catalog/fold.h"
#include "catalog/list.h"
#include "catalog/selector.h"
#include "common.h"
#include "crash_table.h"
#include "pager.h"
#include "render/function_name.h"
#include "render/page.h"
#include "render/table.h"
#include "render/times.h"
#include "render/units.h"
#include "render/words.h"
#include "verbs.h"

namespace obit {
namespace {

using Json = nlohmann::ordered_json;

/// Names of the programs, the one that crashed most often first.
std::vector<std::string> ProgramsOf(const CrashGroup& group) {
  std::map<std::string, std::size_t> counts;
  for (const CrashSummary* crash : group.crashes) ++counts[ProgramName(crash->comm, crash->exe)];
  std::vector<std::string> programs;
  for (const auto& [program, count] : counts)
    if (!program.empty()) programs.push_back(program);
  std::ranges::stable_sort(programs, std::greater(),
                           [&](const std::string& program) { return counts[program]; });
  return programs;
}

std::string ProgramsText(const CrashGroup& group) {
  std::vector<std::string> programs;
  for (const std::string& program : ProgramsOf(group)) programs.push_back(EscapeForTerminal(program));
  return programs.empty() ? "-" : Join(programs, ", ");
}

/// One analysis may say more than another: the newest one counts. In a loop the newest crash has none.
const CrashSummary& NewestOf(const CrashGroup& group) {
  const auto analysed = std::ranges::find_if(group.crashes.rbegin(), group.crashes.rend(),
                                             [](const CrashSummary* crash) { return !crash->cause.empty(); });
  return analysed == group.crashes.rend() ? *group.crashes.back() : **analysed;
}

/// When it crashed last, also if that was only counted. Clocks jump: of those that are kept it is the last
/// one.
std::int64_t LastOf(const CrashGroup& group) {
  std::int64_t last = group.crashes.back()->time;
  for (const CrashSummary* crash : group.crashes) last = std::max(last, crash->last_repeat);
  return last;
}

/// Those that were only counted included.
std::uint64_t CountOf(const CrashGroup& group) {
  std::uint64_t count = group.crashes.size();
  for (const CrashSummary* crash : group.crashes) count += crash->repeats;
  return count;
}

Json GroupJson(const CrashGroup& group) {
  const CrashSummary& newest = NewestOf(group);
  Json out = Json::object();
  out["group"] = GroupId(group.key);
  out["version"] = group.key.version;
  out["count"] = CountOf(group);
  out["kept"] = group.crashes.size();
  out["first"] = FormatTimestamp(group.crashes.front()->time);
  out["last"] = FormatTimestamp(LastOf(group));
  out["kind"] = NameOf(newest.kind);
  out["cause"] = BytesToUtf8(newest.cause);
  out["guess"] = newest.guess;
  out["programs"] = Json::array();
  for (const std::string& program : ProgramsOf(group)) out["programs"].push_back(BytesToUtf8(program));
  out["newest"] = newest.location.id;
  return out;
}

void PrintGroups(const std::string& store_path, std::span<const CrashSummary> crashes,
                 const std::vector<CrashGroup>& groups) {
  using enum Table::Align;
  const Terminal terminal = TerminalOf(STDOUT_FILENO);
  const std::int64_t now = RealtimeNow();
  const std::size_t digits = GroupDigits(groups);
  Table table({{"GROUP"},
               {"COUNT", kRight},
               {.title = "FIRST", .optional = true},
               {"LAST"},
               {"NEWEST"},
               {.title = "PROGRAM", .shrinks_to = 7},
               {.title = "CAUSE", .shrinks_to = 20}});
  std::size_t grouped = 0;
  for (const CrashGroup& group : groups) {
    const CrashSummary& newest = NewestOf(group);
    grouped += group.crashes.size();
    table.Add({{GroupId(group.key).substr(0, digits), Tone::kStrong},
               {CountText(CountOf(group), group.crashes.size())},
               {FormatMoment(group.crashes.front()->time, now)},
               {FormatMoment(LastOf(group), now)},
               {ShortId(newest.location)},
               {ProgramsText(group), Tone::kStrong},
               {newest.cause.empty() ? SignalName(newest.signal) : CauseText(newest)}});
  }
  if (!table.empty()) Print(table.Render(terminal));
  std::string count = groups.empty() ? "No groups" : FormatCount(groups.size(), "group");
  if (const std::size_t alone = crashes.size() - grouped; alone > 0)
    count += fmt::format("; {} in none", FormatCount(alone, "crash"));
  const std::string command = EscapeForTerminal(CommandFor(store_path));
  Print(Footer(count, groups.empty() ? "" : command + " show GROUP", terminal));
}

}  // namespace

ExitCode Groups(const std::string& store_path, const GroupsOptions& options) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto list = ListStore(*store);
  if (!list) return list.error();
  GroupLoops(list->crashes);
  if (const ExitCode code = KeepSince(list->crashes, options.since); code != ExitCode::kDone) return code;
  DropRemoved(*store, list->crashes);
  const auto groups = GroupCrashes(list->crashes);
  if (options.json) {
    Json out = Json::array();
    for (const CrashGroup& group : groups) out.push_back(GroupJson(group));
    PrintJson(out.dump(2) + "\n");
  } else {
    PrintGroups(store_path, list->crashes, groups);
  }
  ExitCode code = ExitCode::kDone;
  for (const BrokenCrash& broken : list->broken) code = Failed(broken.why);
  for (const BrokenCrash& partial : list->partial) code = Failed(partial.why);
  for (const UnreadableDay& day : list->unreadable) code = Failed(day.why);
  return code;
}

ExitCode ShowGroup(const Store& store, const std::string& store_path, const CrashGroup& selected,
                   std::size_t digits, const ShowOptions& options) {
  std::vector<CrashSummary> crashes;
  crashes.reserve(selected.crashes.size());
  for (const CrashSummary* crash : selected.crashes) crashes.push_back(*crash);
  DropRemoved(store, crashes);
  if (crashes.empty()) return Failed(Error{ENOENT, "all crashes of the group were removed"});
  CrashGroup group{selected.key, {}};
  for (const CrashSummary& crash : crashes) group.crashes.push_back(&crash);
  if (options.json) {
    Json out = GroupJson(group);
    out["crashes"] = Json::array();
    for (const CrashSummary* crash : group.crashes) out["crashes"].push_back(crash->location.id);
    PrintJson(out.dump(2) + "\n");
    return ExitCode::kDone;
  }
  constexpr std::size_t kFramesShown = 8;
  const CrashSummary& newest = NewestOf(group);
  const Terminal terminal = TerminalOf(STDOUT_FILENO);
  const std::int64_t now = RealtimeNow();
  Page page(terminal);
  std::string headline = fmt::format("Group {}: {} of {}", GroupId(group.key).substr(0, digits),
                                     FormatCount(CountOf(group), "crash"), ProgramsText(group));
  if (CountOf(group) > group.crashes.size())
    headline += fmt::format(", {} of them kept", group.crashes.size());
  if (group.crashes.size() > 1)
    headline += ", the first " + FormatMomentInProse(group.crashes.front()->time, now);
  page.Paragraph(0, headline + ", the last " + FormatMomentInProse(LastOf(group), now), Tone::kStrong);
  page.Line("");
  page.Paragraph(2, newest.cause.empty() ? SignalName(newest.signal) : DescribeCause(newest.cause),
                 Tone::kBad);
  // What makes them one group. Without the report the rest still says what there is.
  if (const auto head = store.LoadReportHead(newest.location)) {
    const auto& frames = head->report.fingerprint.frames;
    for (std::size_t i = 0; i < std::min(frames.size(), kFramesShown); ++i)
      page.Line("    " + ShortenFunction(frames[i], terminal.width > 4 ? page.width() - 4 : 0));
  }
  if (group.key.version != Report::Fingerprint::kVersion)
    page.Paragraph(2,
                   fmt::format("by version {} of the fingerprint; {} is in use", group.key.version,
                               Report::Fingerprint::kVersion),
                   Tone::kDim);
  page.Line("");
  page.Append(RenderCrashTable(Unfolded(crashes), CauseColumn::kOmit, terminal, now));
  page.Line("");
  const std::string command = EscapeForTerminal(CommandFor(store_path)), id = ShortId(newest.location);
  page.Items("Next", {fmt::format("{} show {}", command, id), fmt::format("{} gdb {}", command, id)}, " · ",
             Tone::kStrong);
  return PrintPage(page.Take(), terminal, options.no_pager);
}

}  // namespace obit
