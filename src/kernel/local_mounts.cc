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

/// Types of file systems that need no server. But for tmpfs, users cannot mount them (FS_USERNS_MOUNT).
constexpr std::array<std::string_view, 15> kLocalTypes{"bcachefs", "btrfs", "erofs", "exfat",   "ext2",
                                                       "ext3",     "ext4",  "f2fs",  "iso9660", "rootfs",
                                                       "squashfs", "tmpfs", "vfat",  "xfs",     "zfs"};

/// A line of mountinfo.
struct Mount {
  std::uint64_t id = 0;
  std::string_view device, type;
};

/// "36 35 98:0 / /mnt rw,noatime master:1 - ext4 /dev/sda1 rw": names have no spaces, they are escaped.
std::optional<Mount> ParseLine(std::string_view line) {
  constexpr std::string_view kSeparator = " - ";
  const auto separator = line.find(kSeparator);
  if (separator == std::string_view::npos) return std::nullopt;
  const auto fields = Split(line.substr(0, separator), ' ');
  const auto id = ParseUnsigned(fields[0]);
  if (!id || fields.size() < 3) return std::nullopt;
  const std::string_view type = line.substr(separator + kSeparator.size());
  return Mount{*id, fields[2], type.substr(0, type.find(' '))};
}

constexpr std::string_view kOverlay = "overlay";

Result<std::string> ReadMountinfo(const Fd& dir, const char* name) {
  FileText text = OBIT_TRY(ReadFileAt(dir, name, LocalMounts::kMountinfoMax));
  if (text.truncated) text.text.resize(text.text.rfind('\n') + 1);
  return std::move(text.text);
}

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

LocalMounts LocalMounts::Parse(std::string_view mountinfo, const Devices& overlays) {
  LocalMounts mounts;
  for (const std::string_view line : Split(mountinfo, '\n')) {
    const auto mount = ParseLine(line);
    if (!mount) continue;
    const bool local = mount->type == kOverlay
                           ? overlays.contains(mount->device)
                           : std::ranges::find(kLocalTypes, mount->type) != kLocalTypes.end();
    if (local) mounts.ids_.insert(mount->id);
  }
  return mounts;
}

LocalMounts::Devices LocalMounts::OverlaysIn(std::string_view mountinfo) {
  Devices devices;
  for (const std::string_view line : Split(mountinfo, '\n'))
    if (const auto mount = ParseLine(line); mount && mount->type == kOverlay) devices.emplace(mount->device);
  return devices;
}

Result<LocalMounts> LocalMounts::Read(const Fd& dir) {
  const std::string own = OBIT_TRY(ReadMountinfo(dir, "mountinfo"));
  const std::string first = ReadMountinfo(dir, "../1/mountinfo").value_or("");
  Devices overlays = OverlaysIn(first);
  overlays.merge(OverlaysIn(ReadMountinfo(dir, "../self/mountinfo").value_or("")));
  LocalMounts mounts = Parse(own, overlays);
  mounts.ids_.merge(Parse(first, overlays).ids_);  // an id is that of one mount, whoever sees it
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
