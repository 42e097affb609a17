#include <unistd.h>

#include "base/text.h"
#include "common.h"
#include "kernel/core_pattern.h"
#include "listener.h"
#include "pattern_owner.h"
#include "render/table.h"
#include "render/units.h"
#include "verbs.h"

namespace obit {
namespace {

/// Who gets cores by a pattern that is obit's.
std::string ServerText(const std::string& pattern) {
  const auto endpoint = EndpointOf(pattern);
  if (!endpoint) return "core_pattern names no socket";
  const auto listener = FindListener(*endpoint);
  if (!listener) {
    if (listener.error().code == EACCES) return "not visible: permission denied";
    return fmt::format("nobody listens on {}: cores are lost", EscapeForTerminal(endpoint->path));
  }
  if (listener->pid == 0) return "listening";
  return fmt::format("{} {}, listening", EscapeForTerminal(listener->comm), listener->pid);
}

}  // namespace

ExitCode Status(const std::string& store_path) {
  const Terminal terminal = TerminalOf(STDOUT_FILENO);
  ExitCode code = ExitCode::kDone;
  Table table({{""}, {""}});
  const auto pattern = ReadCorePattern();
  const auto saved = LoadSavedPattern();
  if (!pattern) code = Failed(pattern.error());
  if (pattern) {
    const auto known = saved ? *saved : std::nullopt;  // only root may read it
    table.Add({{"core_pattern"}, {EscapeForTerminal(*pattern)}});
    table.Add({{"cores go to"}, {EscapeForTerminal(OwnerOf(*pattern, known)), Tone::kStrong}});
    table.Add({{"transport"}, {Describe(TransportOf(*pattern))}});
    if (IsObits(*pattern, known)) table.Add({{"server"}, {ServerText(*pattern)}});
  }

  const auto store = Store::Open(store_path);
  if (!store && store.error().code != ENOENT) code = Failed(store.error());
  std::string text = EscapeForTerminal(store_path) + ": ";
  if (!store)
    text += "none";
  else if (const auto list = ListStore(*store); !list)
    code = list.error();
  else {
    std::uint64_t stored = 0;
    for (const CrashSummary& crash : list->crashes) stored += crash.stored_bytes;
    text += fmt::format("{}, {} stored", FormatCount(list->crashes.size(), "crash"), FormatBytes(stored));
    if (!list->broken.empty()) text += fmt::format("; {} cannot be read (obit list)", list->broken.size());
  }
  table.Add({{"store"}, {text}});
  Print(table.Render(terminal));
  return code;
}

}  // namespace obit
