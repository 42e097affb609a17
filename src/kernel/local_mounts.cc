#include "kernel/local_mounts.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

/// Types of file systems that need no server; of one that is stacked on others, these are taken for local.
constexpr std::array<std::string_view, 16> kLocalTypes{
    "bcachefs", "btrfs",   "erofs",  "exfat",    "ext2",  "ext3", "ext4", "f2fs",
    "iso9660",  "overlay", "rootfs", "squashfs", "tmpfs", "vfat", "xfs",  "zfs"};

/// The kernel's own tmpfs, where memfd_create(2) makes files: no mountinfo has it.
std::optional<std::uint64_t> MountOfMemory() {
  static const std::optional<std::uint64_t> id = []() -> std::optional<std::uint64_t> {
    const Fd memory(::memfd_create("", MFD_CLOEXEC));
    struct statx status{};
    if (!memory || ::statx(memory.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0 ||
        (status.stx_mask & STATX_MNT_ID) == 0)
      return std::nullopt;
    return status.stx_mnt_id;
  }();
  return id;
}

}  // namespace

LocalMounts LocalMounts::Parse(std::string_view mountinfo) {
  LocalMounts mounts;
  for (const std::string_view line : Split(mountinfo, '\n')) {
    // "36 35 98:0 / /mnt rw,noatime master:1 - ext4 /dev/sda1 rw": names have no spaces, they are escaped.
    constexpr std::string_view kSeparator = " - ";
    const auto separator = line.find(kSeparator);
    const auto id = ParseUnsigned(line.substr(0, line.find(' ')));
    if (!id || separator == std::string_view::npos) continue;
    std::string_view type = line.substr(separator + kSeparator.size());
    type = type.substr(0, type.find(' '));
    if (std::ranges::find(kLocalTypes, type) != kLocalTypes.end()) mounts.ids_.insert(*id);
  }
  return mounts;
}

Result<LocalMounts> LocalMounts::Read(const Fd& dir) {
  const auto read = [&](const char* name) -> Result<LocalMounts> {
    FileText text = OBIT_TRY(ReadFileAt(dir, name, kMountinfoMax));
    if (text.truncated) text.text.resize(text.text.rfind('\n') + 1);
    return Parse(text.text);
  };
  LocalMounts mounts = OBIT_TRY(read("mountinfo"));
  // An id is that of one mount, whoever sees it.
  if (auto all = read("../1/mountinfo")) mounts.ids_.merge(all->ids_);
  if (const auto memory = MountOfMemory()) mounts.ids_.insert(*memory);
  return mounts;
}

Result<Fd> LocalMounts::OpenForReading(const Fd& path) const {
  struct statx status{};
  if (::statx(path.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &status) < 0)
    return Fail(errno, "look at a file");
  if (!S_ISREG(status.stx_mode)) return Refuse(EBADMSG, "it is not a regular file");
  if ((status.stx_mask & STATX_MNT_ID) == 0 || !Contains(status.stx_mnt_id))
    return Refuse(EXDEV, "its file system is not known to answer");
  return Open(fmt::format("/proc/self/fd/{}", path.get()), O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

}  // namespace obit
