#pragma once

#include <optional>
#include <string>

namespace obit {

/// The command line of obitd.
struct ServerOptions {
  std::string store;  ///< empty: that of the configuration
  std::string socket, pipe_socket;
  std::string config;         ///< empty: that of the system
  std::string user;           ///< to become if started as root
  bool check_config = false;  ///< only say whether the configuration is right
};

/// Parses it. Nothing: the program is to exit with `status` (help and errors were printed).
[[nodiscard]] std::optional<ServerOptions> ParseServerOptions(int argc, char** argv, int& status);

}  // namespace obit
