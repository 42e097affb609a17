#include "kernel/core_pattern.h"

#include <array>
#include <chrono>
#include <thread>

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr const char* kPatternFile = "/proc/sys/kernel/core_pattern";
constexpr const char* kPipeLimitFile = "/proc/sys/kernel/core_pipe_limit";
constexpr const char* kLockFile = "/run/lock/obit-core-pattern";

constexpr std::array<std::pair<Transport, std::string_view>, 4> kNames{
    {{Transport::kFile, "file"},
     {Transport::kPipe, "pipe"},
     {Transport::kSocket, "socket"},
     {Transport::kSocketRequest, "socket-request"}}};

Result<void> WriteSysctl(const char* path, std::string_view value) {
  // No O_CREAT: a missing sysctl must not become a file.
  const Fd fd = OBIT_TRY(Open(path, O_WRONLY));
  OBIT_TRY_IN(WriteAll(fd, value), "set {} to \"{}\"", path, value);
  return {};
}

/// The lock as a descriptor that obit was started with. O_CLOEXEC tells it from one that this process opened
/// itself.
Result<Fd> InheritedLock() {
  struct stat lock{};
  if (::stat(kLockFile, &lock) < 0) return Fail(errno, "look for {}", kLockFile);
  const Fd descriptors = OBIT_TRY(Open("/proc/self/fd", O_RDONLY | O_DIRECTORY));
  for (const std::string& name : OBIT_TRY(ListDirectory(descriptors))) {
    const int fd = static_cast<int>(ParseUnsigned(name).value_or(0));
    struct stat status{};
    if (::fstat(fd, &status) < 0 || status.st_dev != lock.st_dev || status.st_ino != lock.st_ino) continue;
    if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) continue;
    // Its lock is that of the open file, which this process shares: no wait, and it outlives this process.
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  }
  return Fail(ENOENT, "find an inherited lock");
}

}  // namespace

std::string_view NameOf(Transport transport) {
  for (const auto& [value, name] : kNames)
    if (value == transport) return name;
  return "unknown";
}

std::optional<Transport> TransportNamed(std::string_view name) {
  for (const auto& [value, known] : kNames)
    if (known == name) return value;
  return std::nullopt;
}

Transport TransportOf(std::string_view pattern) {
  if (pattern.starts_with("@@")) return Transport::kSocketRequest;
  if (pattern.starts_with('@')) return Transport::kSocket;
  if (pattern.starts_with('|')) return Transport::kPipe;
  return Transport::kFile;
}

Result<std::string> SocketCorePattern(Transport transport, std::string_view path) {
  constexpr std::size_t kSocketPathMax = 107;  // sun_path with its NUL is 108
  if (!path.starts_with('/')) return Refuse(EINVAL, "socket path \"{}\" is not absolute", path);
  if (path.size() > kSocketPathMax)
    return Refuse(ENAMETOOLONG, "socket path \"{}\" has {} bytes; the kernel takes {}", path, path.size(),
                  kSocketPathMax);
  if (path.find_first_of(std::string_view(" \n\0", 3)) != std::string_view::npos)
    return Refuse(EINVAL, "socket path \"{}\" has a space, newline or NUL, at which the kernel gives up",
                  path);
  for (const std::string_view part : Split(path, '/'))
    if (part == "..")
      return Refuse(EINVAL, "socket path \"{}\" has a \"..\" in it, which the kernel refuses", path);
  return std::string(transport == Transport::kSocketRequest ? "@@" : "@") + std::string(path);
}

std::optional<std::string> TargetOf(std::string_view pattern) {
  switch (TransportOf(pattern)) {
    case Transport::kFile:
      return std::nullopt;
    case Transport::kPipe: {
      const std::string_view command = Trim(pattern.substr(1));
      return std::string(command.substr(0, command.find_first_of(" \t")));
    }
    case Transport::kSocket:
      return std::string(pattern.substr(1));
    case Transport::kSocketRequest:
      return std::string(pattern.substr(2));
  }
  return std::nullopt;
}

std::optional<Endpoint> EndpointOf(std::string_view pattern) {
  const Transport transport = TransportOf(pattern);
  if (transport == Transport::kFile) return std::nullopt;
  if (transport != Transport::kPipe) return Endpoint{TargetOf(pattern).value_or(""), SOCK_STREAM};
  const auto words = Split(pattern, ' ');  // "|HELPER SOCKET ...": PipeCorePattern
  if (words.size() < 2 || !words[1].starts_with('/')) return std::nullopt;
  return Endpoint{std::string(words[1]), SOCK_SEQPACKET};
}

Result<std::string> ReadCorePattern() {
  std::string text = OBIT_TRY(ReadFile(kPatternFile, 4096)).text;
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<void> WriteCorePattern(std::string_view pattern) {
  if (pattern.size() > kCorePatternMax)
    return Refuse(ENAMETOOLONG, "core pattern \"{}\" has {} bytes; the kernel takes {}", pattern,
                  pattern.size(), kCorePatternMax);
  OBIT_TRY(WriteSysctl(kPatternFile, pattern));
  const std::string now = OBIT_TRY(ReadCorePattern());
  if (now != pattern)
    return Refuse(EINVAL, "core pattern \"{}\" was written, but the kernel has \"{}\"", pattern, now);
  return {};
}

Result<unsigned> ReadCorePipeLimit() {
  const auto text = OBIT_TRY(ReadFile(kPipeLimitFile, 64)).text;
  const auto limit = ParseUnsigned(Trim(text));
  if (!limit) return Refuse(EBADMSG, "{} holds no number", kPipeLimitFile);
  return static_cast<unsigned>(*limit);
}

Result<void> WriteCorePipeLimit(unsigned limit) { return WriteSysctl(kPipeLimitFile, std::to_string(limit)); }

Result<Fd> LockCorePattern(int seconds) {
  OBIT_TRY(MakeDirectories("/run/lock", 0755));
  if (auto inherited = InheritedLock()) return inherited;
  Fd lock = OBIT_TRY(Open(kLockFile, O_RDWR | O_CREAT, 0644));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return Fail(errno, "lock {}", kLockFile);
    if (std::chrono::steady_clock::now() >= deadline)
      return Refuse(EBUSY, "another program is changing core_pattern: it has held {} for {} s", kLockFile,
                    seconds);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // flock(2) has no timed wait
  }
  return lock;
}

}  // namespace obit
