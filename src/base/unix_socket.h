#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// A pathname socket that listens, SOCK_CLOEXEC | SOCK_NONBLOCK, mode 0600. A dead socket at `path` is
/// replaced; one that somebody listens on is EADDRINUSE. `type` is SOCK_STREAM or SOCK_SEQPACKET. `path` has
/// at most 107 bytes (unix(7)).
[[nodiscard]] Result<Fd> ListenUnix(const std::string& path, int type, int backlog);

/// Connects to a pathname socket. Never blocks: a full backlog is EAGAIN.
[[nodiscard]] Result<Fd> ConnectUnix(const std::string& path, int type);

/// Two connected sockets, SOCK_CLOEXEC.
struct SocketPair {
  Fd first;
  Fd second;
};
[[nodiscard]] Result<SocketPair> MakeSocketPair(int type);

/// Descriptors in one message, at most (SCM_MAX_FD of include/net/scm.h is 253).
inline constexpr std::size_t kMaxPassedFds = 250;

/// Sends one message with descriptors (at most kMaxPassedFds); the caller keeps its own. Fails with
/// sendmsg(2)'s errno. `flags` as for it: MSG_DONTWAIT makes "no room" EAGAIN.
[[nodiscard]] Result<void> SendMessage(const Fd& socket, std::span<const std::byte> bytes,
                                       std::span<const int> fds, int flags = 0);

struct Message {
  std::vector<std::byte> bytes;
  std::vector<Fd> fds;
  bool lost_fds = false;  ///< descriptors came along, and this process may have no more
};
/// A message whose descriptors this process cannot take (EMFILE): they are gone.
enum class LostFds : bool {
  kFail,  ///< so is the message: EMSGSIZE
  kTell,  ///< its bytes are received, without any descriptor: Message::lost_fds
};
/// Receives one message of at most `max` bytes (a longer one is EMSGSIZE). An empty `bytes` without fds is
/// end of file. `flags` as for recvmsg(2): MSG_DONTWAIT makes "nothing there" EAGAIN.
[[nodiscard]] Result<Message> ReceiveMessage(const Fd& socket, std::size_t max, int flags,
                                             LostFds lost = LostFds::kFail);

/// From here on who sends a descriptor to this socket gets EPERM. Where the kernel cannot do that (before
/// Linux 6.16), nothing changes.
[[nodiscard]] Result<void> RefuseDescriptors(const Fd& socket);

/// Where a pathname socket is bound.
[[nodiscard]] Result<std::string> PathOf(const Fd& socket);

/// SO_PEERCRED: who connected, in the caller's pid and user namespaces (pid 0: not visible from here).
[[nodiscard]] Result<ucred> PeerCredentials(const Fd& socket);

}  // namespace obit
