#include "policy/config.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <sstream>
#include <utility>
#include <vector>

// toml++ 3.3 asserts what does not hold for some broken files ("[" alone on a line) and then refuses them
// properly. Without this such a file ends the server, or with NDEBUG the compiler may take the assertion for
// granted.
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "base/text.h"

namespace obit {
namespace {

/// The value of one key, and how a message names it.
struct Value {
  const toml::node& node;
  std::string where;  // "obit.toml:3: capture.slots"

  Result<std::int64_t> Integer(std::int64_t min, std::int64_t max) const {
    const auto* integer = node.as_integer();
    if (integer == nullptr || integer->get() < min || integer->get() > max)
      return Refuse(EINVAL, "{} must be a whole number from {} to {}", where, min, max);
    return integer->get();
  }
  Result<bool> Boolean() const {
    const auto* boolean = node.as_boolean();
    if (boolean == nullptr) return Refuse(EINVAL, "{} must be true or false", where);
    return boolean->get();
  }
  Result<std::chrono::seconds> Seconds(std::int64_t min = 1) const {
    return std::chrono::seconds(OBIT_TRY(Integer(min, 86400)));
  }
};

Result<Detail> CoreLimitZero(const Value& value) {
  if (const auto* text = value.node.as_string())
    if (const auto detail = DetailNamed(text->get()); detail && *detail != Detail::kMinimal) return *detail;
  return Refuse(EINVAL, R"({} must be "event", "full" or "reject")", value.where);
}

// Values as TOML has them.
std::string Print(bool value) { return value ? "true" : "false"; }
std::string Print(std::chrono::seconds value) { return std::to_string(value.count()); }
std::string Print(std::string_view value) {
  std::ostringstream text;
  text << toml::toml_formatter(toml::value<std::string>(std::string(value)), toml::format_flags::none);
  return text.str();
}

struct Setting {
  std::string_view section, key;
  Result<void> (*read)(const Value& value, Config& config);
  std::string (*print)(const Config& config);
};
constexpr Setting kSettings[] = {
    {"capture", "slots",
     [](const Value& value, Config& config) -> Result<void> {
       config.slots = static_cast<unsigned>(OBIT_TRY(value.Integer(1, 256)));
       return {};
     },
     [](const Config& config) { return std::to_string(config.slots); }},
    {"capture", "direct",
     [](const Value& value, Config& config) -> Result<void> {
       config.direct = OBIT_TRY(value.Boolean());
       return {};
     },
     [](const Config& config) { return Print(config.direct); }},
    {"capture", "verify",
     [](const Value& value, Config& config) -> Result<void> {
       config.verify = OBIT_TRY(value.Boolean());
       return {};
     },
     [](const Config& config) { return Print(config.verify); }},
    {"capture", "progress_timeout",
     [](const Value& value, Config& config) -> Result<void> {
       config.progress_timeout = OBIT_TRY(value.Seconds());
       return {};
     },
     [](const Config& config) { return Print(config.progress_timeout); }},
    {"capture", "timeout",
     [](const Value& value, Config& config) -> Result<void> {
       config.capture_timeout = OBIT_TRY(value.Seconds());
       return {};
     },
     [](const Config& config) { return Print(config.capture_timeout); }},
    {"capture", "core_limit_zero",
     [](const Value& value, Config& config) -> Result<void> {
       config.no_core_limit = OBIT_TRY(CoreLimitZero(value));
       return {};
     },
     [](const Config& config) { return Print(NameOf(config.no_core_limit)); }},
    {"crash_loop", "crashes",
     [](const Value& value, Config& config) -> Result<void> {
       config.loop_crashes = static_cast<unsigned>(OBIT_TRY(value.Integer(0, 1'000'000)));
       return {};
     },
     [](const Config& config) { return std::to_string(config.loop_crashes); }},
    {"crash_loop", "window",
     [](const Value& value, Config& config) -> Result<void> {
       config.loop_window = OBIT_TRY(value.Seconds());
       return {};
     },
     [](const Config& config) { return Print(config.loop_window); }},
    {"crash_loop", "storm",
     [](const Value& value, Config& config) -> Result<void> {
       config.loop_storm = OBIT_TRY(value.Seconds(0));
       return {};
     },
     [](const Config& config) { return Print(config.loop_storm); }},
    {"crash_loop", "interval",
     [](const Value& value, Config& config) -> Result<void> {
       config.loop_interval = OBIT_TRY(value.Seconds());
       return {};
     },
     [](const Config& config) { return Print(config.loop_interval); }},
    {"analysis", "enabled",
     [](const Value& value, Config& config) -> Result<void> {
       config.analyze = OBIT_TRY(value.Boolean());
       return {};
     },
     [](const Config& config) { return Print(config.analyze); }},
    {"analysis", "slots",
     [](const Value& value, Config& config) -> Result<void> {
       config.analysis_slots = static_cast<unsigned>(OBIT_TRY(value.Integer(1, 64)));
       return {};
     },
     [](const Config& config) { return std::to_string(config.analysis_slots); }},
    {"analysis", "timeout",
     [](const Value& value, Config& config) -> Result<void> {
       config.analysis_timeout = std::chrono::seconds(OBIT_TRY(value.Integer(1, 3600)));
       return {};
     },
     [](const Config& config) { return Print(config.analysis_timeout); }},
    {"analysis", "environment",
     [](const Value& value, Config& config) -> Result<void> {
       const auto* text = value.node.as_string();
       const auto kept = text == nullptr ? std::nullopt : EnvironmentKeptNamed(text->get());
       if (!kept) return Refuse(EINVAL, R"({} must be "none", "allow-list" or "all")", value.where);
       config.environment = *kept;
       return {};
     },
     [](const Config& config) { return Print(NameOf(config.environment)); }},
    {"analysis", "debuginfod_urls",
     [](const Value& value, Config& config) -> Result<void> {
       const auto* text = value.node.as_string();
       if (text == nullptr) return Refuse(EINVAL, "{} must be URLs with spaces between them", value.where);
       config.debuginfod_urls = text->get();
       return {};
     },
     [](const Config& config) { return Print(config.debuginfod_urls); }},
    {"analysis", "debuginfod_cache",
     [](const Value& value, Config& config) -> Result<void> {
       const auto* text = value.node.as_string();
       if (text == nullptr || !text->get().starts_with('/'))
         return Refuse(EINVAL, "{} must be the path of a folder", value.where);
       config.debuginfod_cache = text->get();
       return {};
     },
     [](const Config& config) { return Print(config.debuginfod_cache); }},
    {"journal", "enabled",
     [](const Value& value, Config& config) -> Result<void> {
       config.journal = OBIT_TRY(value.Boolean());
       return {};
     },
     [](const Config& config) { return Print(config.journal); }},
    {"hooks", "folder",
     [](const Value& value, Config& config) -> Result<void> {
       const auto* text = value.node.as_string();
       if (text == nullptr || !(text->get().empty() || text->get().starts_with('/')))
         return Refuse(EINVAL, R"({} must be the path of a folder, or "")", value.where);
       config.hooks = text->get();
       return {};
     },
     [](const Config& config) { return Print(config.hooks); }},
    {"hooks", "timeout",
     [](const Value& value, Config& config) -> Result<void> {
       config.hook_timeout = std::chrono::seconds(OBIT_TRY(value.Integer(1, 3600)));
       return {};
     },
     [](const Config& config) { return Print(config.hook_timeout); }},
    {"metrics", "enabled",
     [](const Value& value, Config& config) -> Result<void> {
       config.metrics = OBIT_TRY(value.Boolean());
       return {};
     },
     [](const Config& config) { return Print(config.metrics); }},
    {"server", "stop_timeout",
     [](const Value& value, Config& config) -> Result<void> {
       config.stop_timeout = OBIT_TRY(value.Seconds());
       return {};
     },
     [](const Config& config) { return Print(config.stop_timeout); }},
};

/// Single-character edits that turn `a` into `b` (Levenshtein).
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

/// `; did you mean "slots"?`, or nothing if no name of `names` is like `wrong`.
std::string Hint(std::string_view wrong, const std::vector<std::string_view>& names) {
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(2, wrong.size() / 2) + 1;
  for (const std::string_view name : names) {
    // Names that differ so much in length are not alike; it also bounds the work for a long key.
    if (wrong.size() > 2 * name.size()) continue;
    if (const std::size_t distance = Distance(wrong, name); distance < least) {
      least = distance;
      nearest = name;
    }
  }
  return nearest.empty() ? "" : fmt::format(R"(; did you mean "{}"?)", nearest);
}

/// Parses without the characters outside ASCII: no setting has any, and on some of them, outside comments,
/// the character tables of toml++ 3.3 have undefined behaviour.
Result<toml::table> ParseToml(std::string text, const std::string& name) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Refuse(EINVAL, "{}:{}: {}", name, error.source().begin.line,
                  EscapeForTerminal(error.description()));
  }
}

Result<void> ReadSection(const toml::table& table, std::string_view section, const std::string& name,
                         LoadedConfig& loaded) {
  for (const auto& [key, node] : table) {
    const auto* setting = std::ranges::find_if(
        kSettings, [&](const Setting& known) { return known.section == section && known.key == key.str(); });
    const std::string line = fmt::format("{}:{}", name, key.source().begin.line);
    if (setting == std::end(kSettings)) {
      std::vector<std::string_view> keys;
      for (const Setting& known : kSettings)
        if (known.section == section) keys.push_back(known.key);
      return Refuse(EINVAL, R"({}: unknown key "{}" in [{}]{})", line, EscapeForTerminal(key.str()), section,
                    Hint(key.str(), keys));
    }
    OBIT_TRY(setting->read({node, fmt::format("{}: {}.{}", line, section, setting->key)}, loaded.config));
    SettingInForce& in_force = loaded.settings[static_cast<std::size_t>(setting - std::begin(kSettings))];
    in_force.value = setting->print(loaded.config);
    in_force.from = line;
  }
  return {};
}

}  // namespace

LoadedConfig DefaultConfig() {
  LoadedConfig loaded;
  for (const Setting& setting : kSettings)
    loaded.settings.push_back(
        {std::string(setting.section), std::string(setting.key), setting.print(loaded.config), ""});
  return loaded;
}

Result<void> ParseConfigInto(std::string_view text, const std::string& name, LoadedConfig& loaded) {
  const toml::table file = OBIT_TRY(ParseToml(std::string(text), name));
  for (const auto& [key, node] : file) {
    const auto* setting =
        std::ranges::find_if(kSettings, [&](const Setting& known) { return known.section == key.str(); });
    const std::string line = fmt::format("{}:{}", name, key.source().begin.line);
    if (setting == std::end(kSettings)) {
      std::vector<std::string_view> sections;
      for (const Setting& known : kSettings) sections.push_back(known.section);
      return Refuse(EINVAL, R"({}: unknown name "{}"{})", line, EscapeForTerminal(key.str()),
                    Hint(key.str(), sections));
    }
    const toml::table* section = node.as_table();
    if (section == nullptr)
      return Refuse(EINVAL, "{}: {} must be a section, [{}]", line, key.str(), key.str());
    OBIT_TRY(ReadSection(*section, key.str(), name, loaded));
  }
  return {};
}

Result<Config> ParseConfig(std::string_view text, const std::string& name) {
  LoadedConfig loaded = DefaultConfig();
  OBIT_TRY(ParseConfigInto(text, name, loaded));
  return loaded.config;
}

}  // namespace obit
