#include "base/unix_socket.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <sys/un.h>

namespace obit {
namespace {

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return Refuse(ENAMETOOLONG, "socket path \"{}\" has {} bytes; 1 to {} fit", path, path.size(),
                  sizeof(address.sun_path) - 1);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

}  // namespace

Result<Fd> ListenUnix(const std::string& path, int type, int backlog) {
  const auto address = OBIT_TRY(AddressOf(path));
  // A full backlog is alive, and so is a socket of another type.
  if (const auto live = ConnectUnix(path, type);
      live || live.error().code == EAGAIN || live.error().code == EPROTOTYPE)
    return Fail(EADDRINUSE, "listen on {}", path);
  struct stat found{};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode))
      return Refuse(EEXIST, "listen on {}: there is a file that is no socket", path);
    ::unlink(path.c_str());
  }
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Fail(errno, "make a socket");
  ::fchmod(socket.get(), 0600);  // before bind(): the mode of the file that bind() makes
  if (::bind(socket.get(), Generic(address), sizeof address) < 0) return Fail(errno, "bind {}", path);
  if (::listen(socket.get(), backlog) < 0) return Fail(errno, "listen on {}", path);
  return socket;
}

Result<Fd> ConnectUnix(const std::string& path, int type) {
  const auto address = OBIT_TRY(AddressOf(path));
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Fail(errno, "make a socket");
  if (::connect(socket.get(), Generic(address), sizeof address) < 0) return Fail(errno, "connect {}", path);
  return socket;
}

Result<SocketPair> MakeSocketPair(int type) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) < 0)
    return Fail(errno, "make a socket pair");
  return SocketPair{Fd(ends[0]), Fd(ends[1])};
}

Result<void> SendMessage(const Fd& socket, std::span<const std::byte> bytes, std::span<const int> fds,
                         int flags) {
  if (fds.size() > kMaxPassedFds) return Fail(EINVAL, "pass {} descriptors", fds.size());
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxPassedFds)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do sent = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL | flags);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return Fail(errno, "send a message");
  if (static_cast<std::size_t>(sent) != bytes.size())
    return Fail(EMSGSIZE, "send a message of {} bytes", bytes.size());
  return {};
}

Result<Message> ReceiveMessage(const Fd& socket, std::size_t max, int flags, LostFds lost) {
  Message message;
  // Not the message's own: it would be cleared, all of it, for a few bytes.
  thread_local std::vector<std::byte> buffer;
  if (buffer.size() < max) buffer.resize(max);
  iovec part{buffer.data(), max};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxPassedFds)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got;
  do got = ::recvmsg(socket.get(), &header, flags | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return Fail(errno, "receive a message");
  for (cmsghdr* rights = CMSG_FIRSTHDR(&header); rights != nullptr; rights = CMSG_NXTHDR(&header, rights)) {
    if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> fds((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(rights), fds.size() * sizeof(int));
    for (const int fd : fds) message.fds.emplace_back(fd);
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) return Fail(EMSGSIZE, "receive a message");
  if ((header.msg_flags & MSG_CTRUNC) != 0) {
    if (lost == LostFds::kFail) return Fail(EMSGSIZE, "receive a message with descriptors");
    message.fds.clear();
    message.lost_fds = true;
  }
  message.bytes.assign(buffer.begin(), buffer.begin() + got);
  return message;
}

Result<void> RefuseDescriptors(const Fd& socket) {
  constexpr int kPassRights = 83;  // SO_PASSRIGHTS of include/uapi/asm-generic/socket.h
  const int pass = 0;
  if (::setsockopt(socket.get(), SOL_SOCKET, kPassRights, &pass, sizeof pass) < 0 && errno != ENOPROTOOPT)
    return Fail(errno, "refuse descriptors");
  return {};
}

Result<std::string> PathOf(const Fd& socket) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0)
    return Fail(errno, "ask where a socket is bound");
  if (address.sun_family != AF_UNIX || length <= sizeof address.sun_family || address.sun_path[0] == '\0')
    return Refuse(EINVAL, "a socket has no path");
  return std::string(address.sun_path, ::strnlen(address.sun_path, sizeof address.sun_path));
}

Result<ucred> PeerCredentials(const Fd& socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
    return Fail(errno, "ask who connected");
  return peer;
}

}  // namespace obit
