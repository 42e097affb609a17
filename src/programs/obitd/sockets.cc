#include "sockets.h"

#include <cerrno>
#include <filesystem>

#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/io.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

constexpr int kBacklog = 4096;  // crashes that the kernel may queue; net.core.somaxconn's default

/// Listens at `path` in a folder that only its owner enters: nobody else can pose as the kernel.
Result<Fd> Bind(const std::string& path, int type, BoundSocket& bound) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (!folder.empty()) OBIT_TRY(MakeDirectories(folder, 0700));
  Fd socket = OBIT_TRY(ListenUnix(path, type, kBacklog));
  bound = BoundSocket(path);
  return socket;
}

}  // namespace

BoundSocket::~BoundSocket() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<Sockets> OpenSockets(const ServerOptions& options) {
  Sockets sockets;
  const int inherited = sd_listen_fds(1);
  sockets.listeners.inherited = inherited > 0;
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + inherited; ++fd) {
    Fd socket(fd);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    // Once more: who asks by SO_PEERCRED who listens here (obit status) means the server.
    ::listen(fd, kBacklog);
    if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0)
      sockets.listeners.coredump = std::move(socket);
    else if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0)
      sockets.listeners.pipe = std::move(socket);
    else
      return Refuse(EINVAL, "inherited descriptor {} is not a listening AF_UNIX socket", fd);
  }
  if (!sockets.listeners.coredump)
    sockets.listeners.coredump = OBIT_TRY(Bind(options.socket, SOCK_STREAM, sockets.coredump));
  if (!sockets.listeners.pipe && !options.pipe_socket.empty())
    sockets.listeners.pipe = OBIT_TRY(Bind(options.pipe_socket, SOCK_SEQPACKET, sockets.pipe));
  return sockets;
}

std::vector<std::string> PathsOf(const Listeners& listeners) {
  std::vector<std::string> paths;
  for (const Fd* socket : {&listeners.coredump, &listeners.pipe}) {
    const auto bound = *socket ? PathOf(*socket) : Fail(EBADF, "no socket");
    std::error_code unknown;
    if (!bound) continue;
    const auto real = std::filesystem::weakly_canonical(*bound, unknown);
    paths.push_back(unknown ? *bound : real.string());
  }
  return paths;
}

}  // namespace obit
