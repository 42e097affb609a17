#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "crash/environment.h"
#include "crash/record.h"

namespace obit {

/// What obitd does, as configured. The defaults stand here and nowhere else.
struct Config {
  /// Captures at once. Each holds one crashed process and some MiB; more crashes wait in the queue.
  unsigned slots = 4;
  /// Memory is copied from /proc/PID/mem where that can be had; else every core comes from the kernel.
  bool direct = true;
  /// After a direct capture the kernel's core is read too and compared. The process is held for both.
  bool verify = false;
  /// A capture that gets no byte for so long ends: the process is released and the record says so.
  std::chrono::seconds progress_timeout{30};
  /// A capture that takes longer in all ends the same way.
  std::chrono::seconds capture_timeout{600};
  /// On SIGTERM: how long the captures that run may go on.
  std::chrono::seconds stop_timeout{20};
  /// What is kept of a process with RLIMIT_CORE 0, which asked for no core.
  Detail no_core_limit = Detail::kEvent;
  /// A process whose core is larger than its RLIMIT_CORE keeps no more of it than the limit says; a limit
  /// below a page counts as 0. Else every limit but 0 counts as none.
  bool respect_core_limit = true;
  /// So many crashes of one site are kept within loop_window; more are a crash loop, of which one each
  /// loop_interval is kept and the others are counted. 0: all are kept.
  unsigned loop_crashes = 20;
  std::chrono::seconds loop_window{600};
  std::chrono::seconds loop_interval{3600};
  /// Processes that started within so long after the site's first crash are a storm, and kept.
  std::chrono::seconds loop_storm{10};
  /// Each core is read after it was stored, and what it says is kept beside it.
  bool analyze = true;
  /// Analyses at once, while no crash waits for its capture.
  unsigned analysis_slots = 1;
  /// An analysis that takes longer is killed.
  std::chrono::seconds analysis_timeout{60};
  /// What of a process' environment its report holds.
  EnvironmentKept environment = EnvironmentKept::kAllowList;
  /// Servers that are asked for debug information that this host has not, as in DEBUGINFOD_URLS
  /// (debuginfod(8)); empty: none is asked.
  std::string debuginfod_urls;
  /// Where it is kept. libdebuginfod removes what was not used for long.
  std::string debuginfod_cache = "/var/cache/obit/debuginfod";
  /// Each crash becomes an entry of systemd's journal, where there is one.
  bool journal = true;
  /// The folder of the programs that are told of each crash; empty: none is.
  std::string hooks = "/etc/obit/hooks.d";
  /// A hook that runs longer is killed.
  std::chrono::seconds hook_timeout{60};
  /// Numbers for Prometheus are kept in the store.
  bool metrics = true;
  /// The folder of the crashes, for obitd and for obit, unless their command line says otherwise.
  std::string store = "/var/lib/obit";
};

/// A key, its value in force, and who said so.
struct SettingInForce {
  std::string section, key;
  std::string value;  ///< as TOML has it: 4, true, "event"
  std::string from;   ///< "/etc/obit/obit.toml:3"; empty: it is the default
};

/// A configuration that was put together from files.
struct LoadedConfig {
  Config config;
  std::vector<SettingInForce> settings;  ///< every key there is, in the order of obit.toml(5)
  std::vector<std::string> closed;       ///< folders of drop-ins that the caller may not read
};

/// Every key with its default.
[[nodiscard]] LoadedConfig DefaultConfig();
/// Takes what the TOML text says into `loaded`; what it does not mention stays. `name` is the file, for
/// messages. EINVAL: a wrong key, type or value, with file and line in the message; then `loaded` is of no
/// use.
[[nodiscard]] Result<void> ParseConfigInto(std::string_view text, const std::string& name,
                                           LoadedConfig& loaded);
/// The same, on the defaults.
[[nodiscard]] Result<Config> ParseConfig(std::string_view text, const std::string& name);

}  // namespace obit
