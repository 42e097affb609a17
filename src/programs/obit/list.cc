#include <algorithm>
#include <set>

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "common.h"
#include "crash/record_json.h"
#include "render/table.h"
#include "render/times.h"
#include "render/units.h"
#include "render/users.h"
#include "render/words.h"
#include "store/selector.h"
#include "verbs.h"

namespace obit {
namespace {

/// Keeps what the options ask for, oldest first.
std::expected<std::vector<CrashSummary>, ExitCode> Filter(std::vector<CrashSummary> crashes,
                                                          const ListOptions& options) {
  if (!options.selectors.empty()) {
    std::set<CrashLocation> wanted;
    for (const std::string& selector : options.selectors) {
      const auto matching = MatchingCrashes(crashes, selector);
      if (matching.empty()) return std::unexpected(NotSelected(SelectCrash(crashes, selector).error()));
      for (const CrashSummary& crash : matching) wanted.insert(crash.location);
    }
    std::erase_if(crashes, [&](const CrashSummary& crash) { return !wanted.contains(crash.location); });
  }
  if (!options.since.empty()) {
    const auto since = ParseSince(options.since, RealtimeNow());
    if (!since) {
      Log(Severity::kError, "--since {}: not a time such as 2h, 3d, today or 2026-11-22", options.since);
      return std::unexpected(ExitCode::kUsage);
    }
    std::erase_if(crashes, [&](const CrashSummary& crash) { return crash.time < *since; });
  }
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

void PrintTable(const std::string& store, const std::vector<CrashSummary>& crashes) {
  using enum Table::Align;
  const Terminal terminal = TerminalOf(STDOUT_FILENO);
  const std::int64_t now = RealtimeNow();
  Table table({{"TIME"},
               {"ID"},
               {"PID", kRight},
               {.title = "USER", .shrinks_to = 6},
               {"SIGNAL"},
               {.title = "PROGRAM", .shrinks_to = 7},
               {"CORE", kRight},
               {"STORED", kRight},
               {.title = "NOTE", .shrinks_to = 12, .optional = true}});
  std::uint64_t stored = 0;
  for (const CrashSummary& crash : crashes) {
    const std::string program = ProgramName(crash.comm, crash.exe);
    stored += crash.stored_bytes;
    const Tone tone = ToneOf(crash.outcome);
    table.Add({{FormatMoment(crash.time, now)},
               {ShortId(crash.location), Tone::kStrong},
               {crash.pid > 0 ? std::to_string(crash.pid) : "-"},
               {crash.uid ? UserName(*crash.uid) : "-"},
               {crash.signal != 0 ? SignalName(crash.signal) : "-"},
               {program.empty() ? "-" : EscapeForTerminal(program), Tone::kStrong},
               {CoreColumn(crash.outcome, crash.core_bytes), tone},
               {crash.stored_bytes > 0 ? FormatBytes(crash.stored_bytes) : "-"},
               {EscapeForTerminal(crash.reason), tone}});
  }
  if (!table.empty()) Print(table.Render(terminal));
  const std::string count =
      crashes.empty()
          ? "No crashes"
          : fmt::format("{}, {} stored", FormatCount(crashes.size(), "crash"), FormatBytes(stored));
  const std::string command = CommandFor(store);
  const std::string hint = terminal.interactive && !crashes.empty()
                               ? fmt::format("      {0} show ID · {0} gdb ID", EscapeForTerminal(command))
                               : "";
  Print(count + "." + Paint(hint, Tone::kDim, terminal.colour) + "\n");
}

}  // namespace

ExitCode List(const std::string& store_path, const ListOptions& options) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto list = ListStore(*store);
  if (!list) return list.error();
  const auto crashes = Filter(std::move(list->crashes), options);
  if (!crashes) return crashes.error();

  ExitCode code = ExitCode::kDone;
  if (options.json)
    code = PrintJson(*store, *crashes);
  else
    PrintTable(store_path, *crashes);
  for (const BrokenCrash& broken : list->broken) code = Failed(broken.why);
  return code;
}

}  // namespace obit
