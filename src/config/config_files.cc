#include "config/config_files.h"

#include <map>

#include <pwd.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kConfigMax = 1 << 20;  // bytes

Result<void> ReadInto(const std::string& path, LoadedConfig& loaded) {
  const auto file = OBIT_TRY(ReadFile(path, kConfigMax));
  if (file.truncated) return Refuse(EINVAL, "{} is larger than {} bytes", path, kConfigMax);
  return ParseConfigInto(file.text, path, loaded);
}

/// Paths by file name.
Result<std::map<std::string, std::string>> DropIns(const std::vector<std::string>& folders,
                                                   std::vector<std::string>& closed) {
  std::map<std::string, std::string> paths;
  for (const std::string& folder : folders) {
    const auto dir = Open(folder, O_RDONLY | O_DIRECTORY);
    if (!dir && dir.error().code == EACCES) closed.push_back(folder);
    if (!dir && (dir.error().code == ENOENT || dir.error().code == EACCES)) continue;
    if (!dir) return std::unexpected(dir.error());
    for (const std::string& name : OBIT_TRY(ListDirectory(*dir)))
      if (name.ends_with(".toml") && !name.starts_with('.')) paths[name] = folder + "/" + name;
  }
  return paths;
}

/// A rule for somebody who is not on this host is no reason to have no configuration: hosts share them.
void LookUpUsers(LoadedConfig& loaded) {
  for (Rule& rule : loaded.config.rules) {
    for (Rule::User& user : rule.users) {
      if (user.name.empty()) continue;
      const passwd* entry = ::getpwnam(user.name.c_str());
      if (entry != nullptr)
        user.uid = entry->pw_uid;
      else
        loaded.no_users.push_back(fmt::format(R"({}: there is no user "{}")", EscapeControls(rule.from),
                                              EscapeControls(user.name)));
    }
  }
}

}  // namespace

ConfigPlaces SystemConfig() {
  return {kSystemConfig,
          false,
          {"/usr/lib/obit/obit.toml.d", "/run/obit/obit.toml.d", std::string(kSystemConfig) + ".d"}};
}

ConfigPlaces ConfigOf(const std::string& file) { return {file, true, {file + ".d"}}; }

Result<LoadedConfig> LoadConfig(const ConfigPlaces& places) {
  LoadedConfig loaded = DefaultConfig();
  const auto read = ReadInto(places.file, loaded);
  if (!read && (read.error().code != ENOENT || places.must_exist)) return std::unexpected(read.error());
  const auto drop_ins = OBIT_TRY(DropIns(places.drop_ins, loaded.closed));
  for (const auto& [name, path] : drop_ins) OBIT_TRY(ReadInto(path, loaded));
  LookUpUsers(loaded);
  // Numbers may be longer than the names that they are of.
  if (RulesText(loaded.config.rules).size() > Rule::kTextMax)
    return Refuse(EINVAL, "the rules have more than {} KiB in all", Rule::kTextMax >> 10);
  return loaded;
}

}  // namespace obit
