#include <charconv>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "common.h"
#include "kernel/core_pattern.h"
#include "listener.h"
#include "pattern_owner.h"
#include "render/table.h"
#include "render/units.h"
#include "server/metrics.h"
#include "store/access.h"
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

constexpr std::size_t kMetricsMax = 64 * 1024;  // bytes

/// What obitd counted, each value by its name and labels as they stand in the file.
nlohmann::ordered_json MetricsOf(const Store& store) {
  auto metrics = nlohmann::ordered_json::object();
  const auto file = OpenGenuine(store.root(), kMetricsFile);
  const auto text = file ? ReadText(*file, kMetricsFile, kMetricsMax) : std::unexpected(file.error());
  if (!text) return metrics;
  for (const std::string_view line : Split(text->text, '\n')) {
    const auto space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string_view::npos) continue;
    double value = 0;
    if (std::from_chars(line.data() + space + 1, line.data() + line.size(), value).ec == std::errc())
      metrics[EscapeForTerminal(line.substr(0, space))] = value;
  }
  return metrics;
}

ExitCode StatusAsJson(const std::string& store_path) {
  ExitCode code = ExitCode::kDone;
  nlohmann::ordered_json json;
  const auto pattern = ReadCorePattern();
  const auto saved = LoadSavedPattern();
  if (!pattern) code = Failed(pattern.error());
  if (pattern) {
    const auto known = saved ? *saved : std::nullopt;
    json["core_pattern"] = *pattern;
    json["owner"] = OwnerOf(*pattern, known);
    json["ours"] = IsObits(*pattern, known);
    json["transport"] = NameOf(TransportOf(*pattern));
  }
  const auto store = Store::Open(store_path);
  if (!store && store.error().code != ENOENT) code = Failed(store.error());
  if (store) {
    json["store"]["path"] = store_path;
    if (const auto list = ListStore(*store)) {
      std::uint64_t stored = 0;
      for (const CrashSummary& crash : list->crashes) stored += crash.stored_bytes;
      json["store"]["crashes"] = list->crashes.size();
      json["store"]["stored_bytes"] = stored;
      json["store"]["unreadable"] = list->broken.size();
    } else {
      code = list.error();
    }
    json["metrics"] = MetricsOf(*store);
  }
  Print(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  return code;
}

}  // namespace

ExitCode Status(const std::string& store_path, bool json) {
  if (json) return StatusAsJson(store_path);
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
