#include "crash_table.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "catalog/selector.h"
#include "render/table.h"
#include "render/times.h"
#include "render/units.h"
#include "render/users.h"
#include "render/words.h"

namespace obit {
namespace {

/// Gives each crash the text of its cause, in order.
class Causes {
 public:
  Table::Cell CellOf(const CrashSummary& crash) {
    if (crash.group && (!crash.cause.empty() || shown_.contains(*crash.group))) {
      const auto [at, is_first] = shown_.try_emplace(*crash.group, Shown{&crash, 0});
      ++at->second.count;
      if (!is_first)
        return {fmt::format("same as {}, {}", ShortId(at->second.first->location), Ordinal(at->second.count)),
                Tone::kDim};
    }
    return {CauseText(crash)};
  }

 private:
  struct Shown {
    const CrashSummary* first;
    std::uint64_t count;
  };
  std::map<GroupKey, Shown> shown_;
};

std::string NoteOf(const CrashSummary& crash) {
  if (!crash.pinned) return EscapeControls(crash.reason);
  return crash.reason.empty() ? "pinned" : "pinned; " + EscapeControls(crash.reason);
}

}  // namespace

std::string CauseText(const CrashSummary& crash) { return EscapeControls(crash.cause); }

std::string RenderCrashTable(std::span<const FoldedCrash> lines, CauseColumn cause, const Terminal& terminal,
                             std::int64_t now) {
  using enum Table::Align;
  // Where a line is short, why something died is worth more than the size of what is left of it.
  constexpr std::size_t kCauseMin = 20;
  const std::size_t cause_min = std::max(kCauseMin, terminal.width / 4);
  Table table({{"TIME"},
               {"ID"},
               {.title = "COUNT", .align = kRight, .optional = true},
               {"PID", kRight},
               {.title = "USER", .shrinks_to = 6},
               {"SIGNAL"},
               {.title = "PROGRAM", .shrinks_to = 7},
               {.title = "CAUSE", .shrinks_to = cause_min, .optional = true},
               {.title = "CORE", .align = kRight, .optional = true},
               {.title = "STORED", .align = kRight, .optional = true},
               {.title = "NOTE", .shrinks_to = 12, .optional = true}});
  Causes causes;
  for (const FoldedCrash& line : lines) {
    const CrashSummary& crash = *line.crash;
    const std::string program = ProgramName(crash.comm, crash.exe);
    const Tone tone = ToneOf(crash.outcome);
    table.Add({{FormatMoment(line.time, now)},
               {ShortId(crash.location), Tone::kStrong},
               {line.all > 1 ? CountText(line.all, line.kept()) : ""},
               {crash.pid > 0 ? std::to_string(crash.pid) : "-"},
               {crash.uid ? UserName(*crash.uid) : "-"},
               {crash.signal != 0 ? SignalName(crash.signal) : "-"},
               {program.empty() ? "-" : EscapeForTerminal(program), Tone::kStrong},
               cause == CauseColumn::kShow ? causes.CellOf(crash) : Table::Cell{},
               crash.core_removed ? Table::Cell{"removed", Tone::kDim}
                                  : Table::Cell{CoreColumn(crash.outcome, crash.core_bytes), tone},
               {crash.has_core() ? FormatBytes(crash.stored_bytes) : "-"},
               {NoteOf(crash), tone}});
  }
  return table.empty() ? "" : table.Render(terminal);
}

std::string CountCrashes(std::span<const CrashSummary> crashes) {
  if (crashes.empty()) return "No crashes";
  std::set<GroupKey> groups;
  std::size_t grouped = 0;
  std::uint64_t stored = 0;
  for (const CrashSummary& crash : crashes) {
    if (crash.has_core()) stored += crash.stored_bytes;
    if (!crash.group) continue;
    groups.insert(*crash.group);
    ++grouped;
  }
  std::string text = FormatCount(crashes.size(), "crash");
  if (grouped == crashes.size())
    text += " in " + FormatCount(groups.size(), "group");
  else if (grouped > 0)
    text += fmt::format(", {} of them in {}", grouped, FormatCount(groups.size(), "group"));
  return fmt::format("{}, {} stored", text, FormatBytes(stored));
}

std::string Footer(const std::string& count, const std::string& hint, const Terminal& terminal) {
  constexpr std::string_view kGap = "      ";
  const std::string line = count + ".";
  if (!terminal.interactive || DisplayWidth(line) + kGap.size() + DisplayWidth(hint) > terminal.width)
    return line + "\n";
  return line + std::string(kGap) + Paint(hint, Tone::kDim, terminal.colour) + "\n";
}

}  // namespace obit
