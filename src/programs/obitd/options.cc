#include "options.h"

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "config/defaults.h"
#include "config/usage.h"

namespace obit {

std::optional<ServerOptions> ParseServerOptions(int argc, char** argv, int& status) {
  ServerOptions options;
  CLI::App app(
      "obitd records how processes die: the kernel connects to its socket with each crash, and it keeps the "
      "core and what\n"
      "is known in a store, which the command `obit` reads. Runs in the foreground; `obit enable` makes the "
      "kernel use it.");
  app.add_option("--store", options.store,
                 "Folder of the crashes, instead of server.store of the configuration");
  app.add_option("--socket", options.socket, "Socket for the kernel (core_pattern \"@@PATH\" or \"@PATH\")")
      ->default_val(kDefaultSocket);
  app.add_option("--pipe-socket", options.pipe_socket,
                 "Socket for obit-pipe, the helper of kernels before 6.16; \"\" is none")
      ->default_val(kDefaultPipeSocket);
  app.add_option("--config", options.config,
                 "Configuration, with the drop-ins in FILE.d, instead of the system's; read again on SIGHUP")
      ->type_name("FILE");
  app.add_flag("--check-config", options.check_config,
               "Only read the configuration: exit status 0 if it is right, else 1 and a message");
  app.add_option("--user", options.user,
                 "User to become when started as root; where there is no such user it stays root, with few "
                 "capabilities")
      ->default_val(kDefaultUser);
  app.set_version_flag("--version", "obitd " OBIT_VERSION);
  app.footer(
      "Signals: SIGTERM and SIGINT stop it (captures that run may end), SIGHUP reads the configuration "
      "again.\n"
      "A listening socket that it inherits (sd_listen_fds(3)) takes the place of --socket or "
      "--pipe-socket.\n\n"
      "Example, on any store and socket:\n"
      "  obitd --store /tmp/store --socket /run/try/coredump.socket --pipe-socket \"\"");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    status = app.exit(asked);
    return std::nullopt;
  } catch (const CLI::ParseError& wrong) {
    constexpr int kUsage = 2;
    status = kUsage;
    Log(Severity::kError, "{} (obitd --help)", DescribeUsage(app, wrong));
    return std::nullopt;
  }
  // A default pipe socket beside a socket that was chosen would clash with the system's obitd.
  if (app.count("--socket") > 0 && app.count("--pipe-socket") == 0) options.pipe_socket.clear();
  return options;
}

}  // namespace obit
