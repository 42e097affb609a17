#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/disk_amount.h"
#include "config/rule.h"
#include "crash/environment.h"
#include "crash/record.h"

namespace obit {

/// What obitd does, as configured. The defaults stand here and nowhere else.
struct Config {
  /// Captures at once. Each holds one crashed process and some MiB; more crashes wait in the queue.
  unsigned slots = 4;
  /// What is kept of a crash: a full core, or a minimal one. Where a rule says so (Under), less.
  Detail detail = Detail::kFull;
  /// Memory is copied from /proc/PID/mem where that can be had; else every core comes from the kernel.
  bool direct = true;
  /// A large process may go as soon as its head is read, and its memory is copied afterwards, where that ties
  /// up nothing (policy/early_release.h). Else, or where it does, it is held until it was copied.
  bool early_release = true;
  /// Memory that is kept beyond the end of its process is let go after so long: the core is a minimal one
  /// then.
  std::chrono::seconds keep_timeout{30};
  /// After a direct capture the kernel's core is read too and compared. The process is held for both.
  bool verify = false;
  /// A crash that waits for a capture while none makes progress for so long gets none: the process is
  /// released and the record says so.
  std::chrono::seconds queue_timeout{2};
  /// A capture that gets no byte for so long ends: the process is released and the record says so.
  std::chrono::seconds progress_timeout{10};
  /// A capture that takes longer in all ends the same way.
  std::chrono::seconds capture_timeout{600};
  /// On SIGTERM: how long the captures that run may go on.
  std::chrono::seconds stop_timeout{20};
  /// What is kept of a process with RLIMIT_CORE 0, which asked for no core.
  Detail no_core_limit = Detail::kEvent;
  /// A process whose core is larger than its RLIMIT_CORE keeps no more of it than the limit says; a limit
  /// below a page counts as 0. Else every limit but 0 counts as none.
  bool respect_core_limit = true;
  /// A crash that is kept without a core has a trace all the same, where nobody has to wait for that: of a
  /// core that is in memory until it was analysed, and nowhere else.
  bool traces = true;
  /// What is kept of one crash site within loop_window: so many cores, of so many bytes in all but for the
  /// first, which has any size; then so many crashes without a core. More are only counted. 0 cores: all are
  /// kept.
  unsigned loop_cores = 4;
  std::uint64_t loop_bytes = std::uint64_t{50} << 20;
  unsigned loop_events = 20;
  std::chrono::seconds loop_window{3600};
  /// What all crashes of one user, and of one unit, may take within budget_window: so many are recorded, more
  /// are only counted; cores of so many bytes in all are kept, more crashes have none. 0: any number.
  unsigned user_crashes = 5000, unit_crashes = 2000;
  std::uint64_t user_bytes = std::uint64_t{20} << 30, unit_bytes = std::uint64_t{10} << 30;
  std::chrono::seconds budget_window{3600};
  /// Percent of the last ten seconds that somebody waited for memory: from there on full cores become
  /// minimal. 0: never.
  unsigned memory_pressure = 20;
  /// Old crashes are removed, as the limits below say.
  bool retention = true;
  /// The store holds no more than this.
  DiskAmount retention_size{.percent = 10, .bytes = {}};
  /// So much of its file system stays free.
  DiskAmount retention_free{.percent = 15, .bytes = std::uint64_t{10} << 30};
  /// Older cores, and records with all that is beside them, are removed; 0: not for their age.
  unsigned retention_core_days = 30, retention_record_days = 180;
  /// The same of cores of RetentionClass::kShort.
  unsigned retention_short_days = 3;
  /// Percent of the store. Where room is short, cores of a user or a unit that has more give way first.
  unsigned retention_user_share = 50, retention_unit_share = 50;
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
  /// What else holds for some crashes: of the first one that matches (policy/rules.h).
  std::vector<Rule> rules;
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
  std::vector<std::string> no_users;     ///< of rules, for people: "obit.toml:7: there is no user \"ann\""
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
/// Every key, and the rules, as ParseConfig reads them: one process hands a configuration to another.
[[nodiscard]] std::string ConfigText(const Config& config);

}  // namespace obit
