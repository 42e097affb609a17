#pragma once

#include "base/result.h"
#include "config/config.h"
#include "options.h"

namespace obit {

/// Reads the configuration; what it says and is not taken is logged. Waits for files.
[[nodiscard]] Result<Config> ReadConfig(const ServerOptions& options);

/// Once obitd is who it will be. Hooks are no root's, and one that crashes must not be told of itself.
void ForbidHarmfulHooks(Config& config);

/// For "systemctl reload", which cannot see what the server makes of a signal. The exit status.
[[nodiscard]] int CheckConfiguration(const ServerOptions& options);

}  // namespace obit
