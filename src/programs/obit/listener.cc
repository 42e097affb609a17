#include "listener.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "host_namespace.h"
#include "kernel/version.h"

namespace obit {
namespace {

/// What stands behind "NAME:" in a status file.
std::string_view Field(std::string_view status, std::string_view name) {
  for (const std::string_view line : Split(status, '\n'))
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':'))
      return Trim(line.substr(name.size() + 1));
  return {};
}

/// The effective one of the four ids in such a field.
unsigned EffectiveId(std::string_view field) {
  const auto ids = Split(field, '\t');
  return ids.size() > 1 ? static_cast<unsigned>(ParseUnsigned(ids[1]).value_or(0)) : 0;
}

}  // namespace

Result<Listener> FindListener(const Endpoint& endpoint) {
  const auto connection = ConnectUnix(endpoint.path, endpoint.type);
  if (!connection) {
    if (connection.error().code == EAGAIN) return Listener{};  // its backlog is full: it is there
    return std::unexpected(connection.error());
  }
  Listener listener;
  // The peer of a connection to a listening socket is the process that called listen(2).
  listener.pid = OBIT_TRY(PeerCredentials(*connection)).pid;
  if (listener.pid == 0) return listener;
  const std::string folder = fmt::format("/proc/{}/", listener.pid);
  if (const auto comm = ReadFile(folder + "comm", 64)) listener.comm = Trim(comm->text);
  if (const auto status = ReadFile(folder + "status", 16 * 1024)) {
    listener.capabilities = ParseUnsigned(Field(status->text, "CapPrm"), 16).value_or(0);
    listener.user = {EffectiveId(Field(status->text, "Uid")), EffectiveId(Field(status->text, "Gid"))};
  }
  return listener;
}

Result<void> CheckSocketPath(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    struct stat status{};
    if (::lstat(part.c_str(), &status) < 0) {
      if (errno == ENOENT) return {};
      return Fail(errno, "look at {}", part);
    }
    if (S_ISLNK(status.st_mode))
      return Refuse(EINVAL, "socket path {}: {} is a symlink, which the kernel does not follow", path, part);
    if (slash == std::string::npos) return {};
  }
}

Result<void> CheckMountNamespace() {
  const std::string host = HostNamespace("mnt");
  if (host.empty() || host == OwnNamespace("mnt")) return {};
  return Refuse(EPERM,
                "the kernel takes a socket as core pattern only from the first mount namespace: run this "
                "outside of the container or sandbox, or use --transport pipe");
}

Result<Transport> ChooseTransport(const std::string& name) {
  if (name == "request") return Transport::kSocketRequest;
  if (name == "socket") return Transport::kSocket;
  if (name == "pipe") return Transport::kPipe;
  if (name != "auto") return Refuse(EINVAL, "transport {}: it is one of auto, request, socket, pipe", name);
  const KernelVersion version = OBIT_TRY(ParseKernelVersion(KernelRelease()));
  if (version >= kFirstWithSocketRequest) return Transport::kSocketRequest;
  return version >= kFirstWithSocket ? Transport::kSocket : Transport::kPipe;
}

std::string Describe(Transport transport) {
  switch (transport) {
    case Transport::kSocketRequest:
      return "request socket (@@)";
    case Transport::kSocket:
      return "socket (@)";
    case Transport::kPipe:
      return "pipe";
    case Transport::kFile:
      break;
  }
  return "file";
}

}  // namespace obit
