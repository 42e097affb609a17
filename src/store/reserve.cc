#include "store/reserve.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "store/ownership.h"

namespace obit {

Result<void> Reserve::Fill() {
  if (is_full_) return {};
  if (!file_) {
    file_ = OBIT_TRY(MakePrivateFile(store_.root(), kReserveFile, O_RDWR));
  }
  struct statvfs disk{};
  if (::fstatvfs(file_.get(), &disk) < 0) return Fail(errno, "look at the disk of the store");
  if (disk.f_bavail * disk.f_frsize < 2 * kBytes) return Refuse(ENOSPC, "the disk has no room to set aside");
  if (::fallocate(file_.get(), 0, 0, kBytes) < 0) return Fail(errno, "set room aside");
  is_full_ = true;
  return {};
}

bool Reserve::Give() {
  struct stat status{};
  if (!file_ || ::fstat(file_.get(), &status) < 0 || status.st_size <= 0) return false;
  is_full_ = false;
  const auto left = static_cast<std::uint64_t>(status.st_size);
  return ::ftruncate(file_.get(), static_cast<off_t>(left - std::min(left, kStep))) == 0;
}

bool IsFullDisk(const Error& error) { return error.code == ENOSPC || error.code == EDQUOT; }

}  // namespace obit
