#include <algorithm>
#include <cerrno>
#include <iterator>

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "catalog/fold.h"
#include "catalog/groups.h"
#include "catalog/selector.h"
#include "common.h"
#include "render/times.h"
#include "render/units.h"
#include "render/users.h"
#include "verbs.h"

namespace obit {
namespace {

std::uint64_t BytesOf(const CrashSummary& crash) { return crash.core_removed ? 0 : crash.disk_bytes; }

/// What its owner put into the folder of a crash is not obit's: the crash is removed also if that stays.
ExitCode RemoveOne(const Store& store, const CrashSummary& crash, bool dry_run) {
  const auto removed = dry_run ? Result<void>() : store.Remove(crash.location);
  if (!removed && removed.error().code != ENOTEMPTY) return Failed(removed.error());
  Print(fmt::format("{} {}, {} freed\n", dry_run ? "would remove" : "removed",
                    EscapeForTerminal(ShortName(crash)), FormatBytes(BytesOf(crash))));
  if (!removed) Log(Severity::kWarning, "{}", removed.error().what);
  return ExitCode::kDone;
}

bool IsOfUser(const CrashSummary& crash, const std::string& user) {
  return crash.uid && (std::to_string(*crash.uid) == user || UserName(*crash.uid) == user);
}
bool IsOfProgram(const CrashSummary& crash, const std::string& program) {
  return crash.comm == program || (program.contains('/') ? crash.exe : FileNameOf(crash.exe)) == program;
}
bool IsOfUnit(const CrashSummary& crash, const std::string& unit) {
  return crash.unit == unit || crash.unit == unit + ".service";
}

/// The crashes that all options fit, or tells what is wrong with one of them.
std::expected<std::vector<const CrashSummary*>, ExitCode> Fitting(std::span<const CrashSummary> crashes,
                                                                  const RemoveOptions& options) {
  const std::int64_t now = RealtimeNow();
  std::optional<std::int64_t> before, since;
  for (const auto& [name, text, time] :
       {std::tuple{"--before", &options.before, &before}, {"--since", &options.since, &since}})
    if (!text->empty() && !(*time = ParseSince(*text, now))) {
      Log(Severity::kError, "{} {}: not a time such as 2h, 3d, today or 2026-11-22", name, *text);
      return std::unexpected(ExitCode::kUsage);
    }
  const auto groups = GroupCrashes(crashes);
  const auto group =
      options.group.empty() ? Result<const CrashGroup*>(nullptr) : SelectGroup(groups, options.group);
  if (!group) return std::unexpected(NotSelected(group.error()));
  std::vector<const CrashSummary*> fitting;
  for (const CrashSummary& crash : crashes)
    if ((options.program.empty() || IsOfProgram(crash, options.program)) &&
        (options.unit.empty() || IsOfUnit(crash, options.unit)) &&
        (options.user.empty() || IsOfUser(crash, options.user)) &&
        (*group == nullptr || crash.group == (*group)->key) && crash.time < before.value_or(INT64_MAX) &&
        crash.time >= since.value_or(INT64_MIN))
      fitting.push_back(&crash);
  if (fitting.empty()) return std::unexpected(NotSelected(Error{ENOENT, "no crash fits"}));
  return fitting;
}

/// Whether somebody at a terminal wants that. Elsewhere nobody is asked.
bool IsWanted(std::span<const CrashSummary* const> crashes, std::size_t pinned,
              const RemoveOptions& options) {
  if (options.yes || options.dry_run || crashes.empty()) return true;
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1) return true;
  std::uint64_t bytes = 0;
  for (const CrashSummary* crash : crashes) bytes += BytesOf(*crash);
  const std::string stay = pinned == 0 ? "" : fmt::format(" ({} pinned stay)", pinned);
  Print(
      fmt::format("Remove {}, {}{}? [y/N] ", FormatCount(crashes.size(), "crash"), FormatBytes(bytes), stay));
  (void)FlushOutput();
  char answer = '\0';
  return ::read(STDIN_FILENO, &answer, 1) == 1 && (answer == 'y' || answer == 'Y');
}

ExitCode RemoveFitting(const Store& store, std::span<const CrashSummary> crashes,
                       const RemoveOptions& options) {
  auto fitting = Fitting(crashes, options);
  if (!fitting) return fitting.error();
  const auto stays = [&](const CrashSummary* crash) {
    return !options.force && store.PresenceOf(crash->location).pinned;
  };
  std::size_t pinned = std::erase_if(*fitting, stays);
  if (!IsWanted(*fitting, pinned, options)) {
    Print("Nothing was removed.\n");
    return ExitCode::kDone;
  }
  ExitCode code = ExitCode::kDone;
  for (const CrashSummary* crash : *fitting)
    if (stays(crash))  // since the question was asked
      ++pinned;
    else if (const ExitCode removed = RemoveOne(store, *crash, options.dry_run); removed != ExitCode::kDone)
      code = removed;
  if (pinned > 0)
    Log(Severity::kNotice, "{} {} pinned and stay{} (--force)", pinned, pinned == 1 ? "is" : "are",
        pinned == 1 ? "s" : "");
  return code;
}

ExitCode RemoveChosen(const Store& store, std::span<const CrashSummary> crashes,
                      const RemoveOptions& options) {
  const auto chosen = ChooseEach(crashes, options.selectors, Prefer::kProgram);
  if (!chosen) return chosen.error();
  ExitCode code = ExitCode::kDone;
  for (const auto& [location, crash] : *chosen) {
    if (!options.force && store.PresenceOf(location).pinned)
      code = Failed(Error{EBUSY, fmt::format("{} is pinned: obit unpin it, or --force", ShortName(*crash))});
    else if (const ExitCode removed = RemoveOne(store, *crash, options.dry_run); removed != ExitCode::kDone)
      code = removed;
  }
  return code;
}

}  // namespace

ExitCode Remove(const std::string& store_path, const RemoveOptions& options) {
  const bool by_options = !options.program.empty() || !options.group.empty() || !options.unit.empty() ||
                          !options.user.empty() || !options.before.empty() || !options.since.empty();
  if (!by_options && options.selectors.empty()) {
    Log(Severity::kError,
        "which crashes? Give SEL, or --program, --group, --unit, --user, --before or --since");
    return ExitCode::kUsage;
  }
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto list = ListStore(*store);
  if (!list) return list.error();
  GroupLoops(list->crashes);  // those without a core are of the group of the one with a core
  if (by_options) return RemoveFitting(*store, list->crashes, options);
  // Those that cannot be read can be removed as well, by id. They come first: "@1" stays the newest of the
  // others.
  std::vector<CrashSummary> crashes;
  for (const BrokenCrash& broken : list->broken) crashes.push_back({.location = broken.location});
  std::ranges::move(list->crashes, std::back_inserter(crashes));
  return RemoveChosen(*store, crashes, options);
}

}  // namespace obit
