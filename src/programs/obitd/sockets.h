#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "options.h"
#include "server/role.h"

namespace obit {

/// Sockets bound here are removed at the end; inherited ones belong to the service manager.
class BoundSocket {
 public:
  BoundSocket() = default;
  explicit BoundSocket(std::string path) : path_(std::move(path)) {}
  BoundSocket(BoundSocket&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  BoundSocket& operator=(BoundSocket&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~BoundSocket();

 private:
  std::string path_;
};

struct Sockets {
  Listeners listeners;
  BoundSocket coredump, pipe;
};

/// Those that were inherited (sd_listen_fds(3)), and new ones in the place of those that were not.
[[nodiscard]] Result<Sockets> OpenSockets(const ServerOptions& options);

/// The paths by which a core pattern leads to these sockets.
[[nodiscard]] std::vector<std::string> PathsOf(const Listeners& listeners);

}  // namespace obit
