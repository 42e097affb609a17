#include "store/ownership.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

constexpr int kDepth = 4;  // crashes/DAY/ID/FILE

/// Last the folder itself: an attempt that was cut short is made again.
Result<void> Give(const Fd& entry, uid_t uid, gid_t gid, int depth) {
  struct stat status{};
  if (::fstat(entry.get(), &status) < 0) return Fail(errno, "look at a file of the store");
  if (status.st_uid != 0) return {};
  if (S_ISDIR(status.st_mode)) {
    const Fd dir = OBIT_TRY(OpenAt(entry, ".", O_RDONLY | O_DIRECTORY));
    if (depth > 0)
      for (const std::string& name : OBIT_TRY(ListDirectory(dir)))
        if (const auto inner = OpenAt(dir, name, O_PATH)) OBIT_TRY(Give(*inner, uid, gid, depth - 1));
  } else if (!S_ISREG(status.st_mode) || status.st_nlink != 1) {
    return {};
  }
  if (::fchownat(entry.get(), "", uid, gid, AT_EMPTY_PATH) < 0) return Fail(errno, "give it to uid {}", uid);
  return {};
}

}  // namespace

Result<void> GiveToOwner(const Fd& root, const Fd& made) {
  if (::geteuid() != 0) return {};
  struct stat owner{}, file{};
  if (::fstat(root.get(), &owner) < 0 || ::fstat(made.get(), &file) < 0)
    return Fail(errno, "look at a file of the store");
  if (owner.st_uid == 0) return {};
  if (!S_ISDIR(file.st_mode) && (!S_ISREG(file.st_mode) || file.st_nlink > 1))
    return Refuse(EPERM, "a file of the store is none that was just made");
  if (::fchown(made.get(), owner.st_uid, owner.st_gid) < 0)
    return Fail(errno, "give it to uid {}", owner.st_uid);
  return {};
}

Result<void> GiveFolderTo(const std::string& path, uid_t uid, gid_t gid) {
  const Fd root = OBIT_TRY_IN(Open(path, O_PATH | O_DIRECTORY), "folder {}", path);
  struct stat status{};
  if (::fstat(root.get(), &status) < 0) return Fail(errno, "folder {}", path);
  if (status.st_uid != uid && status.st_uid != 0)
    return Refuse(EPERM, "folder {} belongs to uid {}, not to root or uid {}", path, status.st_uid, uid);
  OBIT_TRY_IN(Give(root, uid, gid, kDepth), "folder {}", path);
  return {};
}

}  // namespace obit
