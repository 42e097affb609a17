#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "common.h"
#include "config/config_files.h"
#include "verbs.h"

namespace obit {
namespace {

/// As a file that says it, with where each key comes from beside it.
std::string AsToml(const LoadedConfig& loaded) {
  std::string text, section;
  std::size_t width = 0;
  for (const SettingInForce& setting : loaded.settings)
    width = std::max(width, setting.key.size() + setting.value.size() + 3);
  for (const SettingInForce& setting : loaded.settings) {
    if (setting.section != section) {
      section = setting.section;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += fmt::format("{:{}}  # {}\n", fmt::format("{} = {}", setting.key, setting.value), width,
                        setting.from.empty() ? "default" : EscapeForTerminal(setting.from));
  }
  for (const Rule& rule : loaded.config.rules) {
    text += fmt::format("\n[[rule]]  # {}\n", EscapeForTerminal(rule.from));
    for (const auto& [key, value] : KeysOf(rule, UsersAs::kWritten))
      text += fmt::format("{} = {}\n", key, value);
  }
  return text;
}

/// A value of obit's is the same word in TOML and in JSON.
nlohmann::ordered_json JsonOf(const std::string& value) {
  return nlohmann::ordered_json::parse(value, nullptr, false);
}

std::string AsJson(const LoadedConfig& loaded) {
  auto settings = nlohmann::ordered_json::array();
  for (const SettingInForce& setting : loaded.settings) {
    nlohmann::ordered_json one{{"key", setting.section + "." + setting.key},
                               {"value", JsonOf(setting.value)}};
    if (!setting.from.empty()) one["from"] = setting.from;
    settings.push_back(std::move(one));
  }
  for (const Rule& rule : loaded.config.rules) {
    auto keys = nlohmann::ordered_json::object();
    for (const auto& [key, value] : KeysOf(rule, UsersAs::kWritten)) keys[key] = JsonOf(value);
    settings.push_back({{"key", "rule"}, {"value", std::move(keys)}, {"from", rule.from}});
  }
  return settings.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

ExitCode ShowConfig(const std::string& file, bool json) {
  const auto loaded = LoadConfig(file.empty() ? SystemConfig() : ConfigOf(file));
  if (!loaded) return Failed(loaded.error());
  for (const std::string& folder : loaded->closed)
    Log(Severity::kNotice, "{} cannot be read from here: obitd may know more", folder);
  for (const std::string& user : loaded->no_users) Log(Severity::kWarning, "{}", user);
  Print(json ? AsJson(*loaded) : AsToml(*loaded));
  return ExitCode::kDone;
}

}  // namespace obit
