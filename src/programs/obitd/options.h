#pragma once

#include <optional>
#include <string>

namespace obit {

/// The command line of obitd.
struct ServerOptions {
  std::string store, socket, pipe_socket, config;
  std::string user;           ///< to become if started as root
  bool config_given = false;  ///< a file that was named must exist
};

/// Parses it. Nothing: the program is to exit with `status` (help and errors were printed).
[[nodiscard]] std::optional<ServerOptions> ParseServerOptions(int argc, char** argv, int& status);

}  // namespace obit
