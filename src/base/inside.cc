#include "base/inside.h"

#include <cerrno>
#include <cstdint>

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

constexpr std::uint64_t kInside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;

/// For a kernel without openat2(2). A path that goes up is refused, as there.
Result<Fd> OpenByParts(const Fd& dir, const std::string& path, int flags, mode_t mode) {
  Fd last;
  const Fd* at = &dir;
  std::size_t begin = 0;
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', begin)) {
    const std::string part = path.substr(begin, slash - begin);
    begin = slash + 1;
    if (part.empty() || part == "..") return Fail(EXDEV, "open {}", path);
    last = OBIT_TRY(OpenAt(*at, part, O_PATH | O_DIRECTORY));
    at = &last;
  }
  const std::string name = path.substr(begin);
  if (name == "..") return Fail(EXDEV, "open {}", path);
  return OpenAt(*at, name, flags, mode);
}

/// An older filter of a container answers EPERM to each call that it does not know; the kernel would not like
/// this one's arguments.
bool IsFiltered() { return ::syscall(SYS_openat2, -1, nullptr, nullptr, 0) < 0 && errno == EPERM; }

}  // namespace

Result<Fd> OpenInside(const Fd& dir, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC | O_NOFOLLOW;
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) how.mode = mode;
  how.resolve = kInside;
  long fd = 0;
  do fd = ::syscall(SYS_openat2, dir.get(), path.c_str(), &how, sizeof how);
  while (fd < 0 && errno == EINTR);
  if (fd >= 0) return Fd(static_cast<int>(fd));
  const int error = errno;
  if (error == ENOSYS || (error == EPERM && IsFiltered())) return OpenByParts(dir, path, flags, mode);
  if (error == EXDEV) return Refuse(EXDEV, "open {}: another file system is mounted there", path);
  return Fail(error, "open {}", path);
}

Result<void> IsThere(const Fd& dir, const std::string& name) {
  struct statx status{};
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  // Nothing is asked for: to more than that a FUSE file system says EACCES to whom it does not serve.
  if (::statx(dir.get(), name.c_str(), kFlags, 0, &status) < 0) {
    if (errno != ENOSYS && errno != EPERM) return Fail(errno, "look at {}", name);
    status.stx_attributes_mask = 0;
  }
  if ((status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0) {
    (void)OBIT_TRY(OpenInside(dir, name, O_PATH));
    return {};
  }
  if ((status.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return {};
  return Refuse(EXDEV, "look at {}: another file system is mounted there", name);
}

Result<struct stat> LookInside(const Fd& dir, const std::string& path) {
  // Nothing is opened in truth: neither a FIFO nor a device notices.
  const Fd there = OBIT_TRY(OpenInside(dir, path, O_PATH));
  struct stat status{};
  if (::fstat(there.get(), &status) < 0) return Fail(errno, "look at {}", path);
  return status;
}

}  // namespace obit
