#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "common.h"
#include "crash/record_json.h"
#include "render/record_page.h"
#include "verbs.h"

namespace obit {
namespace {

/// What every process of this host has goes without saying.
void FillHostNamespaces(PageContext& context) {
  auto namespaces = Open("/proc/1/ns", O_RDONLY | O_DIRECTORY);
  // Without rights to look at process 1, obit's own are as good, unless obit runs in a container.
  if (!namespaces || !ReadLinkAt(*namespaces, "pid"))
    namespaces = Open("/proc/self/ns", O_RDONLY | O_DIRECTORY);
  if (!namespaces) return;
  context.pid_namespace = ReadLinkAt(*namespaces, "pid").value_or("");
  context.mount_namespace = ReadLinkAt(*namespaces, "mnt").value_or("");
  context.network_namespace = ReadLinkAt(*namespaces, "net").value_or("");
  context.user_namespace = ReadLinkAt(*namespaces, "user").value_or("");
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
