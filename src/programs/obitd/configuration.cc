#include "configuration.h"

#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config_files.h"
#include "jobs/hook_queue.h"
#include "service_status.h"

namespace obit {
namespace {

Result<LoadedConfig> LoadConfigOf(const ServerOptions& options) {
  return LoadConfig(options.config.empty() ? SystemConfig() : ConfigOf(options.config));
}

}  // namespace

Result<Config> ReadConfig(const ServerOptions& options) {
  const auto loaded = OBIT_TRY(LoadConfigOf(options));
  for (const std::string& folder : loaded.closed)
    Log(Severity::kWarning, "what {} says is not taken: permission denied", folder);
  for (const std::string& user : loaded.no_users) Log(Severity::kWarning, "configuration: {}", user);
  return loaded.config;
}

void ForbidHarmfulHooks(Config& config) {
  rlimit limit{};
  if (config.hooks.empty()) return;
  if (::geteuid() == 0)
    Log(Severity::kWarning, "no hook is run: obitd is root");
  else if (::getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_cur != kHookCoreLimit)
    Log(Severity::kWarning, "no hook is run: RLIMIT_CORE cannot be {}, so it would be told of its own crash",
        kHookCoreLimit);
  else
    return;
  config.hooks.clear();
}

int CheckConfiguration(const ServerOptions& options) {
  const auto loaded = LoadConfigOf(options);
  if (loaded) return 0;
  Log(Severity::kError, "configuration: {}", loaded.error().what);
  // Some versions of systemd do not signal the server then: what it would say of itself is said here.
  ServiceStatus([](const std::string& lines) {
    sd_notify(0, lines.c_str());
  }).SetConfiguration("the old configuration stays: " + loaded.error().what);
  constexpr std::uint64_t kPatience = 5'000'000;  // us; who has exited before it is read is nobody
  sd_notify_barrier(0, kPatience);
  return 1;
}

}  // namespace obit
