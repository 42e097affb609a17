#include "store/ownership.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/inside.h"
#include "base/io.h"
#include "crash/record.h"
#include "store/access.h"
#include "store/folder.h"
#include "store/removal.h"

namespace obit {
namespace {

constexpr int kDepth = 4;   // crashes/DAY/ID/FILE
constexpr int kSynced = 2;  // down to the days, which are few

/// Last the folder itself: an attempt that was cut short is made again. Without the sync a power cut could
/// leave root a folder that the server has to write to, in one that is not looked into any more.
Result<void> Give(const Fd& entry, uid_t uid, gid_t gid, int depth) {
  struct stat status{};
  if (::fstat(entry.get(), &status) < 0) return Fail(errno, "look at a file of the store");
  if (status.st_uid != 0) return {};
  Fd dir;
  if (S_ISDIR(status.st_mode)) {
    dir = OBIT_TRY(OpenInside(entry, ".", O_RDONLY | O_DIRECTORY));
    if (depth > 0)
      for (const std::string& name : OBIT_TRY(ListDirectory(dir)))
        if (const auto inner = OpenInside(dir, name, O_PATH)) OBIT_TRY(Give(*inner, uid, gid, depth - 1));
  } else if (!S_ISREG(status.st_mode) || status.st_nlink != 1) {
    return {};
  }
  if (::fchownat(entry.get(), "", uid, gid, AT_EMPTY_PATH) < 0) return Fail(errno, "give it to uid {}", uid);
  if (dir && depth >= kSynced) (void)Sync(dir);  // where that fails, later writes will say so
  return {};
}

/// That user may move a file of anybody, root too, to where it is opened: only by whose it is, and, where it
/// may not be new, by its having nothing in it, is it known to be safe in his hands.
Result<void> GiveIfMade(const Fd& root, const Fd& made, bool only_if_empty) {
  if (::geteuid() != 0) return {};
  struct stat owner{}, file{};
  if (::fstat(root.get(), &owner) < 0 || ::fstat(made.get(), &file) < 0)
    return Fail(errno, "look at a file of the store");
  if (owner.st_uid == 0 || file.st_uid == owner.st_uid) return {};
  if (file.st_uid != 0 || (!S_ISDIR(file.st_mode) && (!S_ISREG(file.st_mode) || file.st_nlink > 1)) ||
      (only_if_empty && file.st_size != 0))
    return Refuse(EPERM, "a file of the store is none that was just made");
  if (::fchown(made.get(), owner.st_uid, owner.st_gid) < 0)
    return Fail(errno, "give it to uid {}", owner.st_uid);
  return {};
}

/// What root makes in it is to be given to somebody.
Result<bool> IsOfAnother(const Fd& folder) {
  struct stat status{};
  if (::geteuid() != 0) return false;
  if (::fstat(folder.get(), &status) < 0) return Fail(errno, "look at a folder of the store");
  return status.st_uid != 0;
}

}  // namespace

Result<void> GiveToOwner(const Fd& root, const Fd& made) { return GiveIfMade(root, made, false); }

Result<bool> MakeFolder(const Fd& parent, const std::string& name, mode_t mode) {
  if (IsThere(parent, name)) return false;
  // Who is killed before it is given leaves no folder of that name that the user cannot write to.
  const std::string hidden = NewCrashId() + std::string(kRemovedSuffix);
  const std::string& made = OBIT_TRY(IsOfAnother(parent)) ? hidden : name;
  if (::mkdirat(parent.get(), made.c_str(), mode) < 0) {
    if (errno == EEXIST) return false;
    return Fail(errno, "make folder {}", name);
  }
  const auto finish = [&]() -> Result<void> {
    const Fd folder = OBIT_TRY(OpenInside(parent, made, O_RDONLY | O_DIRECTORY));
    OBIT_TRY(GiveToOwner(parent, folder));
    if (::fchmod(folder.get(), mode) < 0) return Fail(errno, "set its mode");
    return made == name ? Result<void>() : MoveFolder(parent, made, parent, name);
  };
  auto finished = finish();
  if (finished) return true;
  if (made == hidden) ::unlinkat(parent.get(), made.c_str(), AT_REMOVEDIR);
  if (made == hidden && finished.error().code == EEXIST) return false;
  return std::unexpected(std::move(finished).error().In("make folder " + name));
}

Result<Fd> MakePrivateFile(const Fd& dir, const std::string& name, int flags) {
  auto file = OpenInside(dir, name, flags | O_CREAT | O_EXCL, kPrivateFile);
  const bool is_there = !file && file.error().code == EEXIST && (flags & O_EXCL) == 0;
  if (is_there) file = OpenInside(dir, name, flags);
  if (!file) return file;
  OBIT_TRY_IN(GiveIfMade(dir, *file, is_there), "{}", name);
  return file;
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
