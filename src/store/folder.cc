#include "store/folder.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

/// True if there is nothing of that name. Else `errno` says why not.
bool IsFree(const Fd& dir, const std::string& name) {
  struct stat status{};
  if (::fstatat(dir.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return false;
  }
  return errno == ENOENT;
}

}  // namespace

std::string LockHolder(const Fd& file) {
  constexpr std::size_t kLocksMax = 1 << 20, kNameMax = 64;  // bytes
  struct stat status{};
  const auto locks = ReadFile("/proc/locks", kLocksMax);
  if (!locks || ::fstat(file.get(), &status) < 0) return "";
  // The kernel names a file system by the number that most of them give to their files.
  const std::string at =
      fmt::format(" {:02x}:{:02x}:{} ", major(status.st_dev), minor(status.st_dev), status.st_ino);
  for (const std::string_view line : Split(locks->text, '\n')) {
    // "1: FLOCK  ADVISORY  WRITE 4711 fe:01:1048592 0 EOF"; one who waits has "->" behind its number.
    const std::size_t end = line.find(at);
    if (end == std::string_view::npos || line.find("FLOCK") == std::string_view::npos ||
        line.find("->") != std::string_view::npos)
      continue;
    const std::string_view pid = line.substr(0, end).substr(line.substr(0, end).rfind(' ') + 1);
    const auto name = ReadFile(fmt::format("/proc/{}/comm", pid), kNameMax);
    return fmt::format(" (process {}{}{})", pid, name ? ", " : "", name ? Trim(name->text) : "");
  }
  return "";
}

Result<void> MoveFolder(const Fd& from, const std::string& old_name, const Fd& to,
                        const std::string& new_name) {
  if (::renameat2(from.get(), old_name.c_str(), to.get(), new_name.c_str(), RENAME_NOREPLACE) == 0) return {};
  // NFS, OpenZFS before 2.2 and many a FUSE do not know the flag. Without it a folder, and the slash says
  // that it is one, takes the place of nothing but an empty folder: so nothing is lost if one comes in
  // between.
  if (errno == EINVAL && IsFree(to, new_name) &&
      ::renameat(from.get(), (old_name + "/").c_str(), to.get(), new_name.c_str()) == 0)
    return {};
  return Fail(errno == ENOTEMPTY ? EEXIST : errno, "move {} to {}", old_name, new_name);
}

Result<void> LockFolder(const Fd& dir, const std::string& name) {
  int failed = 0;
  do failed = ::flock(dir.get(), LOCK_EX | LOCK_NB);
  while (failed < 0 && errno == EINTR);
  if (failed == 0) return {};
  if (errno == EWOULDBLOCK) return Refuse(EBUSY, "crash folder {}: another process has it", name);
  return Fail(errno, "lock crash folder {}", name);
}

}  // namespace obit
