#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "common.h"
#include "crash/record_json.h"
#include "host_namespace.h"
#include "render/record_page.h"
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

}  // namespace

ExitCode Show(const std::string& store_path, const ShowOptions& options) {
  const auto crash = ChooseCrash(store_path, options.selector, "showing", "show");
  if (!crash) return crash.error();
  if (options.json) {
    Print(RecordToJson(crash->record));
    return ExitCode::kDone;
  }
  PageContext context;
  context.now = RealtimeNow();
  context.terminal = TerminalOf(STDOUT_FILENO);
  context.folder = crash->store.PathOf(crash->location);
  context.command = EscapeForTerminal(CommandFor(store_path));
  if (IsOfThisBoot(crash->record)) FillHostNamespaces(context);
  Print(RenderRecordPage(crash->record, context));
  return ExitCode::kDone;
}

}  // namespace obit
