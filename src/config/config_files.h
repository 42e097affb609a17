#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace obit {

inline constexpr const char* kSystemConfig = "/etc/obit/obit.toml";

/// Where a configuration is read from.
struct ConfigPlaces {
  std::string file;
  bool must_exist = true;  ///< or `file` is optional
  std::vector<std::string>
      drop_ins;  ///< folders of *.toml files; those of a later one hide those of its names
};
/// The system's: kSystemConfig, and obit.toml.d in /usr/lib/obit, /run/obit and /etc/obit.
[[nodiscard]] ConfigPlaces SystemConfig();
/// A file that was named, and FILE.d.
[[nodiscard]] ConfigPlaces ConfigOf(const std::string& file);

/// Reads the file and then the drop-ins in the order of their names, wherever they lie: the later one counts.
/// ENOENT: there is no such file. EINVAL: as ParseConfigInto. A folder that is missing has no drop-ins; one
/// that the caller may not read is named in LoadedConfig::closed. Looks up the users that rules name, which
/// may wait for a name server; one whom this host has not is in LoadedConfig::no_users, and no crash is his.
[[nodiscard]] Result<LoadedConfig> LoadConfig(const ConfigPlaces& places);

}  // namespace obit
