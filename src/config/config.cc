#include "config/config.h"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "base/text.h"
#include "config/rule_table.h"
#include "config/toml_values.h"

namespace obit {
namespace {

constexpr std::string_view kRespect = "respect", kIgnore = "ignore";  // of capture.core_limit

Result<Detail> CoreDetail(const Value& value) {
  if (const auto* text = value.text())
    if (const auto detail = DetailNamed(*text); detail == Detail::kFull || detail == Detail::kMinimal)
      return *detail;
  return Refuse(EINVAL, R"({} must be "full" or "minimal")", value.where);
}
Result<bool> CoreLimit(const Value& value) {
  if (const auto* text = value.text()) {
    if (*text == kRespect) return true;
    if (*text == kIgnore) return false;
  }
  return Refuse(EINVAL, R"({} must be "{}" or "{}")", value.where, kRespect, kIgnore);
}
/// A limit of so few bytes is a slip ("10" for 10 GiB, 0 for none), and would cost all crashes.
constexpr std::uint64_t kPartOfDiskMin = 1 << 20;
Result<DiskAmount> PartOfDisk(const Value& value) {
  const auto* text = value.text();
  if (const auto amount = text != nullptr ? ParseDiskAmount(*text) : Refuse(EINVAL, "no text")) {
    if (!amount->bytes || *amount->bytes >= kPartOfDiskMin) return *amount;
    return Refuse(EINVAL, R"({} is less than 1 MiB; "off" is no limit)", value.where);
  }
  return Refuse(EINVAL, R"({} must be a part of the disk such as "10%", "20 GiB" or "15%, 10 GiB", or "off")",
                value.where);
}
Result<std::string> Urls(const Value& value) {
  if (const auto* text = value.text()) return *text;
  return Refuse(EINVAL, "{} must be URLs with spaces between them", value.where);
}
Result<std::string> Folder(const Value& value) {
  const auto* text = value.text();
  if (text == nullptr || !text->starts_with('/'))
    return Refuse(EINVAL, "{} must be the path of a folder", value.where);
  // ParseToml has put a "?" in the place of what is not ASCII: such a path would be another one.
  if (text->find_first_of(std::string_view("?\0", 2)) != std::string::npos)
    return Refuse(EINVAL, "{} must be the path of a folder, in ASCII and without \"?\"", value.where);
  return *text;
}
Result<std::string> FolderOrNone(const Value& value) {
  const auto* text = value.text();
  if (text != nullptr && text->empty()) return *text;
  if (text != nullptr && text->starts_with('/')) return Folder(value);
  return Refuse(EINVAL, R"({} must be the path of a folder, or "")", value.where);
}

struct Setting {
  std::string_view section, key;
  Result<void> (*read)(const Value& value, Config& config);
  std::string (*print)(const Config& config);
};
/// The setting that `kRead` reads into `kMember`.
template <auto kMember, auto kRead>
constexpr Setting Kept(std::string_view section, std::string_view key) {
  return {section, key,
          [](const Value& value, Config& config) -> Result<void> {
            config.*kMember = OBIT_TRY(kRead(value));
            return {};
          },
          [](const Config& config) { return Print(config.*kMember); }};
}
constexpr std::int64_t kHour = 3600, kDay = 86400;  // seconds
constexpr std::int64_t kKeepMax = 600;              // seconds: others want the memory
constexpr std::int64_t kDaysMax = 36'500;           // a century
constexpr Setting kSettings[] = {
    Kept<&Config::slots, Whole<1, 256>>("capture", "slots"),
    Kept<&Config::detail, CoreDetail>("capture", "detail"),
    Kept<&Config::direct, Boolean>("capture", "direct"),
    {"capture", "early_release",
     [](const Value& value, Config& config) -> Result<void> {
       config.early_release = OBIT_TRY(EarlyReleaseWanted(value));
       return {};
     },
     [](const Config& config) { return PrintEarlyRelease(config.early_release); }},
    Kept<&Config::keep_timeout, Seconds<1, kKeepMax>>("capture", "keep_timeout"),
    Kept<&Config::verify, Boolean>("capture", "verify"),
    Kept<&Config::queue_timeout, Seconds<1, kDay>>("capture", "queue_timeout"),
    Kept<&Config::progress_timeout, Seconds<1, kDay>>("capture", "progress_timeout"),
    Kept<&Config::capture_timeout, Seconds<1, kDay>>("capture", "timeout"),
    Kept<&Config::no_core_limit, AnyDetail>("capture", "core_limit_zero"),
    {"capture", "core_limit",
     [](const Value& value, Config& config) -> Result<void> {
       config.respect_core_limit = OBIT_TRY(CoreLimit(value));
       return {};
     },
     [](const Config& config) { return Print(std::string(config.respect_core_limit ? kRespect : kIgnore)); }},
    Kept<&Config::traces, Boolean>("capture", "traces"),
    Kept<&Config::loop_cores, Whole<0, 1'000'000>>("crash_loop", "cores"),
    Kept<&Config::loop_bytes, Bytes>("crash_loop", "bytes"),
    Kept<&Config::loop_events, Whole<0, 1'000'000>>("crash_loop", "events"),
    Kept<&Config::loop_window, Seconds<1, kDay>>("crash_loop", "window"),
    Kept<&Config::user_crashes, Whole<0, 1'000'000>>("budget", "user_crashes"),
    Kept<&Config::user_bytes, Bytes>("budget", "user_bytes"),
    Kept<&Config::unit_crashes, Whole<0, 1'000'000>>("budget", "unit_crashes"),
    Kept<&Config::unit_bytes, Bytes>("budget", "unit_bytes"),
    Kept<&Config::budget_window, Seconds<1, kDay>>("budget", "window"),
    Kept<&Config::memory_pressure, Whole<0, 100>>("load", "memory_pressure"),
    Kept<&Config::retention, Boolean>("retention", "enabled"),
    Kept<&Config::retention_size, PartOfDisk>("retention", "size"),
    Kept<&Config::retention_free, PartOfDisk>("retention", "free"),
    Kept<&Config::retention_core_days, Whole<0, kDaysMax>>("retention", "core_days"),
    Kept<&Config::retention_short_days, Whole<0, kDaysMax>>("retention", "short_days"),
    Kept<&Config::retention_record_days, Whole<0, kDaysMax>>("retention", "record_days"),
    Kept<&Config::retention_user_share, Whole<1, 100>>("retention", "user_share"),
    Kept<&Config::retention_unit_share, Whole<1, 100>>("retention", "unit_share"),
    Kept<&Config::analyze, Boolean>("analysis", "enabled"),
    Kept<&Config::analysis_slots, Whole<1, 64>>("analysis", "slots"),
    Kept<&Config::analysis_timeout, Seconds<1, kHour>>("analysis", "timeout"),
    Kept<&Config::environment, Environment>("analysis", "environment"),
    Kept<&Config::debuginfod_urls, Urls>("analysis", "debuginfod_urls"),
    Kept<&Config::debuginfod_cache, Folder>("analysis", "debuginfod_cache"),
    Kept<&Config::journal, Boolean>("journal", "enabled"),
    Kept<&Config::hooks, FolderOrNone>("hooks", "folder"),
    Kept<&Config::hook_timeout, Seconds<1, kHour>>("hooks", "timeout"),
    Kept<&Config::metrics, Boolean>("metrics", "enabled"),
    Kept<&Config::stop_timeout, Seconds<1, kDay>>("server", "stop_timeout"),
    Kept<&Config::store, Folder>("server", "store"),
};

/// Keys of earlier versions, and what to write instead.
struct FormerKey {
  std::string_view section, key, instead;
};
constexpr FormerKey kFormerKeys[] = {
    {"crash_loop", "crashes", "\"cores\" and \"events\" say how much of a crash site is kept"},
    {"crash_loop", "storm", "many crashes at once are kept as far as \"cores\" and \"events\" say"},
    {"crash_loop", "interval", "after each \"window\" as much is kept as in the first one"},
};

/// Parses without the characters outside ASCII: no setting has any, and on some of them, outside comments,
/// the character tables of toml++ 3.3 have undefined behaviour.
Result<toml::table> ParseToml(std::string text, const std::string& name) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Refuse(EINVAL, "{}:{}: {}", name, error.source().begin.line, EscapeControls(error.description()));
  }
}

Result<void> ReadSection(const toml::table& table, std::string_view section, const std::string& name,
                         LoadedConfig& loaded) {
  for (const auto& [key, node] : table) {
    const auto* setting = std::ranges::find_if(
        kSettings, [&](const Setting& known) { return known.section == section && known.key == key.str(); });
    const std::string line = fmt::format("{}:{}", name, key.source().begin.line);
    if (setting == std::end(kSettings)) {
      for (const FormerKey& former : kFormerKeys)
        if (former.section == section && former.key == key.str())
          return Refuse(EINVAL, R"({}: [{}] has no "{}" any more: {}: see obit.toml(5))", line, section,
                        former.key, former.instead);
      std::vector<std::string_view> keys;
      for (const Setting& known : kSettings)
        if (known.section == section) keys.push_back(known.key);
      return Refuse(EINVAL, R"({}: unknown key "{}" in [{}]{})", line, EscapeControls(key.str()), section,
                    DidYouMean(key.str(), keys));
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
    if (key.str() == "rule") {
      OBIT_TRY(
          ReadRules(node, name, fmt::format("{}:{}", name, key.source().begin.line), loaded.config.rules));
      continue;
    }
    const auto* setting =
        std::ranges::find_if(kSettings, [&](const Setting& known) { return known.section == key.str(); });
    const std::string line = fmt::format("{}:{}", name, key.source().begin.line);
    if (setting == std::end(kSettings)) {
      std::vector<std::string_view> sections;
      for (const Setting& known : kSettings) sections.push_back(known.section);
      sections.emplace_back("rule");
      return Refuse(EINVAL, R"({}: unknown name "{}"{})", line, EscapeControls(key.str()),
                    DidYouMean(key.str(), sections));
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

std::string ConfigText(const Config& config) {
  std::string text;
  for (const Setting& setting : kSettings)
    text += fmt::format("{}.{} = {}\n", setting.section, setting.key, setting.print(config));
  return text + RulesText(config.rules);
}

}  // namespace obit
