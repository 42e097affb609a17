#include <algorithm>

#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "catalog/fold.h"
#include "catalog/selector.h"
#include "common.h"
#include "groups.h"
#include "host_namespace.h"
#include "pager.h"
#include "present/cause_sentence.h"
#include "present/crash_json.h"
#include "render/record_page.h"
#include "render/report_page.h"
#include "stored_file.h"
#include "verbs.h"

namespace obit {
namespace {

/// What every process of this host has goes without saying.
void FillHostNamespaces(PageContext& context) {
  context.pid_namespace = HostNamespace("pid");
  context.mount_namespace = HostNamespace("mnt");
  context.network_namespace = HostNamespace("net");
  context.user_namespace = HostNamespace("user");
}

bool IsOfThisBoot(const CrashRecord& record) {
  const auto boot_id = ReadFile("/proc/sys/kernel/random/boot_id", 64);
  return boot_id && Trim(boot_id->text) == record.host.boot_id;
}

/// The place of a crash among those of its group.
std::optional<PageContext::Standing> StandingOf(const CrashLocation& location,
                                                std::span<const CrashGroup> groups) {
  for (const CrashGroup& group : groups) {
    const auto at = std::ranges::find(group.crashes, location, &CrashSummary::location);
    if (at == group.crashes.end()) continue;
    return PageContext::Standing{.group = GroupId(group.key).substr(0, GroupDigits(groups)),
                                 .position = static_cast<std::size_t>(at - group.crashes.begin()) + 1,
                                 .total = group.crashes.size(),
                                 .first_time = group.crashes.front()->time};
  }
  return std::nullopt;
}

/// Why there is no report to show.
std::string WithoutReport(const CrashRecord& record, const Result<Report>& report,
                          const std::string& command) {
  if (report) return "failed: " + EscapeControls(report->failure);
  if (report.error().code != ENOENT) return "not readable: " + EscapeControls(report.error().what);
  if (record.files.core.empty()) return "none: there is no core to analyse";
  return fmt::format("none yet: {} analyze {}", command, record.id.substr(0, 8));
}

/// Says nothing but that it failed.
bool IsEmpty(const Report& report) {
  return !report.failure.empty() && report.stacks.empty() && CauseSentence(report.cause).empty();
}

ExitCode ShowCrash(const Store& store, const std::string& store_path, const CrashLocation& location,
                   std::span<const CrashGroup> groups, const ShowOptions& options) {
  auto record = store.Load(location);
  if (!record) return Failed(record.error());
  const auto report = store.LoadReport(location);
  const auto repeats = store.LoadRepeats(location);
  const auto removed = LoadRemoved(store, location);
  if (options.json) {
    PrintJson(CrashToJson(*record, report ? &*report : nullptr, repeats ? &*repeats : nullptr,
                          removed ? &*removed : nullptr));
    if (!report && report.error().code != ENOENT) return Failed(report.error());
    return ExitCode::kDone;
  }
  PageContext context;
  context.now = RealtimeNow();
  context.terminal = TerminalOf(STDOUT_FILENO);
  context.folder = store.PathOf(location);
  context.has_report = report.has_value();
  context.command = EscapeForTerminal(CommandFor(store_path));
  context.standing = StandingOf(location, groups);
  if (!repeats && repeats.error().code != ENOENT) Log(Severity::kWarning, "{}", repeats.error().what);
  if (repeats) context.repeats = *repeats;
  if (removed) {
    context.removed = *removed;
    record->files = {};
  }
  if (IsOfThisBoot(*record)) FillHostNamespaces(context);
  std::string page;
  if (report && !IsEmpty(*report)) {
    page = RenderReportPage(*record, *report, context, options.sections);
  } else {
    context.analysis = WithoutReport(*record, report, context.command);
    page = RenderRecordPage(*record, context);
  }
  return PrintPage(page, context.terminal, options.no_pager);
}

}  // namespace

ExitCode Show(const std::string& store_path, const ShowOptions& options) {
  const auto store = OpenStore(store_path);
  if (!store) return store.error();
  auto list = ListStore(*store);
  if (!list) return list.error();
  GroupLoops(list->crashes);
  const auto groups = GroupCrashes(list->crashes);
  const auto group = SelectGroup(groups, options.selector);
  const auto selected = SelectCrash(list->crashes, options.selector);
  if (!selected && selected.error().code == ENOENT) {
    if (group) return ShowGroup(*store, store_path, **group, GroupDigits(groups), options);
    if (group.error().code == ENOTUNIQ) return NotSelected(group.error());
  }
  const auto crash = ChooseFrom(*list, store_path, options.selector, "showing", "show");
  if (!crash) return crash.error();
  if (group && crash->id.starts_with(options.selector) && crash->id != options.selector)
    Log(Severity::kNotice, "{0} is the beginning of a group's id, too: {1} list --group {0}",
        options.selector, CommandFor(store_path));
  return ShowCrash(*store, store_path, *crash, groups, options);
}

}  // namespace obit
