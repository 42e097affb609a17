// obit rule test: which rule of the configuration wins, and what comes of it.

#include <algorithm>
#include <csignal>
#include <optional>

#include <unistd.h>

#include "base/log.h"
#include "base/signal_name.h"
#include "base/text.h"
#include "common.h"
#include "config/config_files.h"
#include "config/disk_amount.h"
#include "policy/rules.h"
#include "process/privileges.h"
#include "render/table.h"
#include "verbs.h"

namespace obit {
namespace {

/// A crash that rules are tried on.
struct Tried {
  RuleFacts facts;
  std::string rule;  ///< that won when it came; empty: none
};

std::unexpected<ExitCode> WrongValue(std::string_view option, std::string_view what) {
  Log(Severity::kError, "{}: {}", option, what);
  return std::unexpected(ExitCode::kUsage);
}

std::expected<std::optional<uid_t>, ExitCode> UidOf(const std::string& user) {
  if (user.empty()) return std::nullopt;
  if (const auto uid = ParseUnsigned(user)) {
    if (*uid >= static_cast<uid_t>(-1)) return WrongValue("--user", "there is no such uid");
    return static_cast<uid_t>(*uid);
  }
  const auto found = FindUser(user);
  if (!found) return std::unexpected(Failed(found.error()));
  if (!*found) return WrongValue("--user", fmt::format(R"(there is no user "{}")", EscapeControls(user)));
  return (*found)->uid;
}

std::expected<RuleFacts, ExitCode> FactsOf(const RuleTestOptions& options) {
  RuleFacts facts{.exe = options.exe, .name = options.name};
  if (!options.cgroup.empty()) facts.SetCgroup(options.cgroup);
  if (!options.unit.empty()) facts.unit = options.unit;
  if (!options.slice.empty()) facts.slices = {options.slice};
  if (!options.container.empty()) facts.container = options.container;
  if (!options.pod.empty()) facts.pod = options.pod;
  const auto uid = UidOf(options.user);
  if (!uid) return std::unexpected(uid.error());
  facts.uid = *uid;
  if (!options.signal.empty()) {
    const auto number = ParseUnsigned(options.signal);
    facts.signal = number && *number >= 1 && *number <= static_cast<std::uint64_t>(SIGRTMAX)
                       ? static_cast<int>(*number)
                       : SignalNamed(options.signal);
    if (!facts.signal) return WrongValue("--signal", "not a signal such as SIGSEGV or 11");
  }
  if (!options.size.empty()) {
    facts.resident = ParseBytes(options.size);
    if (!facts.resident) return WrongValue("--size", R"(not a size such as "1.5 GiB")");
  }
  if (!options.dump_mode.empty()) facts.root_only = options.dump_mode == "root";
  return facts;
}

std::expected<Tried, ExitCode> TriedBy(const std::string& store, const RuleTestOptions& options) {
  if (options.HasFacts()) {
    auto facts = FactsOf(options);
    if (!facts) return std::unexpected(facts.error());
    return Tried{.facts = std::move(*facts), .rule = {}};
  }
  const auto crash = ChooseCrash(store, options.selector, "testing", "rule test");
  if (!crash) return std::unexpected(crash.error());
  return Tried{.facts = FactsOf(crash->record), .rule = crash->record.capture.rule};
}

std::string VerdictOn(const std::vector<Rule>& rules, std::size_t i, std::optional<std::size_t> winner,
                      const RuleFacts& facts) {
  if (i == winner) return "wins";
  const std::string_view key = KeyAgainst(rules[i], facts);
  if (!key.empty()) return fmt::format("does not match: {}", key);
  return "matches too, but comes later";
}

void ShowRules(const std::vector<Rule>& rules, std::optional<std::size_t> winner, const RuleFacts& facts) {
  Table table(
      {{.title = "", .align = Table::Align::kRight}, {.title = "RULE"}, {.title = "FROM"}, {.title = ""}});
  for (std::size_t i = 0; i < rules.size(); ++i)
    table.Add({{std::to_string(i + 1)},
               {rules[i].title.empty() ? "-" : EscapeForTerminal(rules[i].title)},
               {EscapeForTerminal(rules[i].from)},
               {VerdictOn(rules, i, winner, facts), i == winner ? Tone::kStrong : Tone::kPlain}});
  Print(table.Render(TerminalOf(STDOUT_FILENO)));
}

/// A key of [[rule]], and the one of obit.toml that holds where the rule does not say it.
struct Outcome {
  std::string_view key, otherwise;
};
constexpr Outcome kOutcomes[] = {{"detail", "capture.detail"},
                                 {"cores", "crash_loop.cores"},
                                 {"bytes", "crash_loop.bytes"},
                                 {"events", "crash_loop.events"},
                                 {"environment", "analysis.environment"},
                                 {"analysis", "analysis.enabled"},
                                 {"hooks", "hooks.folder"},
                                 {"retention", ""}};

std::string ValueInForce(const LoadedConfig& loaded, std::string_view key) {
  for (const SettingInForce& setting : loaded.settings)
    if (setting.section + "." + setting.key == key) return setting.value;
  return "\"normal\"";
}

void ShowOutcome(const LoadedConfig& loaded, const Rule& rule) {
  const auto keys = KeysOf(rule, UsersAs::kWritten);
  Table table({{.title = "KEY"}, {.title = "VALUE"}, {.title = "FROM"}});
  for (const Outcome& one : kOutcomes) {
    const auto set = std::ranges::find(keys, one.key, &std::pair<std::string, std::string>::first);
    const bool by_rule = set != keys.end();
    table.Add({{std::string(one.key)},
               {EscapeForTerminal(by_rule ? set->second : ValueInForce(loaded, one.otherwise))},
               {by_rule ? "the rule" : std::string(one.otherwise)}});
  }
  if (!rule.detail)
    table.Add({{"with RLIMIT_CORE 0"},
               {ValueInForce(loaded, "capture.core_limit_zero")},
               {"capture.core_limit_zero"}});
  Print(table.Render(TerminalOf(STDOUT_FILENO)));
}

}  // namespace

ExitCode TestRules(const std::string& store, const RuleTestOptions& options) {
  const auto loaded = LoadConfig(options.config.empty() ? SystemConfig() : ConfigOf(options.config));
  if (!loaded) return Failed(loaded.error());
  for (const std::string& folder : loaded->closed)
    Log(Severity::kNotice, "{} cannot be read from here: obitd may know more", folder);
  for (const std::string& user : loaded->no_users) Log(Severity::kWarning, "{}", user);
  const auto tried = TriedBy(store, options);
  if (!tried) return tried.error();
  const std::vector<Rule>& rules = loaded->config.rules;
  const auto winner = FirstMatch(rules, tried->facts);
  if (!rules.empty()) ShowRules(rules, winner, tried->facts);
  const std::string name = winner ? rules[*winner].NameForPeople() : "";
  if (winner)
    Print(fmt::format("\n{} wins:\n", EscapeForTerminal(name)));
  else
    Print(fmt::format("{}no rule matches:\n", rules.empty() ? "" : "\n"));
  ShowOutcome(*loaded, winner ? rules[*winner] : Rule());
  if (!options.HasFacts() && tried->rule != name)
    Print(fmt::format("\nWhen it came, {}.\n", tried->rule.empty()
                                                   ? "no rule was known of it"
                                                   : EscapeForTerminal(tried->rule) + " won"));
  return ExitCode::kDone;
}

}  // namespace obit
