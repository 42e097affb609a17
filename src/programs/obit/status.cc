#include <charconv>
#include <optional>

#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "common.h"
#include "config/defaults.h"
#include "kernel/core_pattern.h"
#include "listener.h"
#include "pattern_owner.h"
#include "render/table.h"
#include "render/units.h"
#include "store/access.h"
#include "store/kept_memory_list.h"
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

/// The server at the usual place while cores go elsewhere; empty if there is none, or none that can be seen.
std::string IdleServerText() {
  const auto listener = FindListener({kDefaultSocket, SOCK_STREAM});
  if (!listener || !listener->comm.starts_with("obitd")) return "";
  return fmt::format("{} {}, listening, but no core goes there: obit enable changes that",
                     EscapeForTerminal(listener->comm), listener->pid);
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

/// What is said of the system and of a store.
struct Facts {
  std::optional<std::string> pattern;
  std::string owner;  ///< of the pattern
  bool ours = false;
  struct Use {
    std::size_t crashes = 0, unreadable = 0;
    std::uint64_t stored_bytes = 0;
  };
  std::optional<Use> use;         ///< nothing: there is no store
  std::vector<CrashRecord> kept;  ///< processes that are gone while their memory is copied
  nlohmann::ordered_json metrics;
};

/// Tells what cannot be found out; `code` is how obit then ends.
Facts FindFacts(const std::string& store_path, ExitCode& code) {
  Facts facts;
  if (auto pattern = ReadCorePattern()) {
    const auto saved = LoadSavedPattern();
    const auto known = saved ? *saved : std::nullopt;  // only root may read it
    facts.owner = OwnerOf(*pattern, known);
    facts.ours = IsObits(*pattern, known);
    facts.pattern = std::move(*pattern);
  } else {
    code = Failed(pattern.error());
  }
  const auto store = Store::Open(store_path);
  if (!store) {
    if (store.error().code != ENOENT) code = Failed(store.error());
    return facts;
  }
  facts.metrics = MetricsOf(*store);
  if (auto kept = ListKeptMemory(*store)) facts.kept = *std::move(kept);  // else it is not for the caller
  const auto list = ListStore(*store);
  if (!list) {
    code = list.error();
    return facts;
  }
  facts.use = {.crashes = list->crashes.size(), .unreadable = list->broken.size()};
  for (const CrashSummary& crash : list->crashes)
    if (crash.has_core()) facts.use->stored_bytes += crash.stored_bytes;
  return facts;
}

std::string AsJson(const Facts& facts, const std::string& store_path) {
  nlohmann::ordered_json json;
  if (facts.pattern) {
    json["core_pattern"] = *facts.pattern;
    json["owner"] = facts.owner;
    json["ours"] = facts.ours;
    json["transport"] = NameOf(TransportOf(*facts.pattern));
  }
  if (facts.use) {
    json["store"] = {{"path", store_path},
                     {"crashes", facts.use->crashes},
                     {"stored_bytes", facts.use->stored_bytes},
                     {"unreadable", facts.use->unreadable}};
    json["metrics"] = facts.metrics;
    json["kept_memory"] = nlohmann::ordered_json::array();
    for (const CrashRecord& record : facts.kept)
      json["kept_memory"].push_back({{"id", record.id},
                                     {"pid", record.process.pid},
                                     {"comm", record.process.comm},
                                     {"bytes", record.process.resident_bytes.value_or(0)}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string AsTable(const Facts& facts, const std::string& store_path) {
  Table table({{""}, {""}});
  if (facts.pattern) {
    table.Add({{"core_pattern"}, {EscapeForTerminal(*facts.pattern)}});
    table.Add({{"cores go to"}, {EscapeForTerminal(facts.owner), Tone::kStrong}});
    table.Add({{"transport"}, {Describe(TransportOf(*facts.pattern))}});
    const std::string server = facts.ours ? ServerText(*facts.pattern) : IdleServerText();
    if (!server.empty()) table.Add({{"server"}, {server, facts.ours ? Tone::kPlain : Tone::kWarning}});
  }
  std::string text = EscapeForTerminal(store_path) + ": ";
  if (facts.use) {
    text += fmt::format("{}, {} stored", FormatCount(facts.use->crashes, "crash"),
                        FormatBytes(facts.use->stored_bytes));
    if (const auto limit = facts.metrics.find("obit_store_limit_bytes"); limit != facts.metrics.end())
      text += fmt::format(" of {} at most", FormatBytes(limit->get<std::uint64_t>()));
    if (facts.use->unreadable > 0)
      text += fmt::format("; {} cannot be read (obit list)", facts.use->unreadable);
  } else {
    text += "none";
  }
  table.Add({{"store"}, {text}});
  for (const CrashRecord& record : facts.kept)
    table.Add({{"kept memory"},
               {fmt::format("{} of {} {}, which is gone: until it is copied, or obit release {}",
                            FormatBytes(record.process.resident_bytes.value_or(0)),
                            EscapeForTerminal(record.process.comm), record.process.pid, record.id)}});
  return table.Render(TerminalOf(STDOUT_FILENO));
}

}  // namespace

ExitCode Status(const std::string& store_path, bool json) {
  ExitCode code = ExitCode::kDone;
  const Facts facts = FindFacts(store_path, code);
  if (json)
    PrintJson(AsJson(facts, store_path));
  else
    Print(AsTable(facts, store_path));
  return code;
}

}  // namespace obit
