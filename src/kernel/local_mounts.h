#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// The mounts of a process whose file systems the kernel answers for by itself. Opening a file of another one
/// (FUSE, NFS) can wait for ever for whoever serves it: that may be the very process that crashed.
///
/// An overlay answers as what it lies on, which its mountinfo does not tell for sure. Any user can put one
/// over a FUSE file system of his own, in a user namespace of his own. So an overlay is local only if the
/// same one is mounted where root alone mounts: there container engines put the roots of their containers.
class LocalMounts {
 public:
  /// Device numbers of file systems as mountinfo has them, "0:42": one for each that is mounted anywhere.
  using Devices = std::set<std::string, std::less<>>;

  /// Decodes /proc/PID/mountinfo (proc_pid_mountinfo(5)); lines that are none are left out. Overlays are
  /// local if they are among `overlays`.
  [[nodiscard]] static LocalMounts Parse(std::string_view mountinfo, const Devices& overlays);
  /// The overlays in a mountinfo.
  [[nodiscard]] static Devices OverlaysIn(std::string_view mountinfo);
  /// Reads that of a process, at most kMountinfoMax bytes of it. A process in a chroot sees there only what
  /// is mounted below its root; so that of process 1 is added, which has the mount that the root lies on.
  /// Overlays are local if process 1 or the caller has them: if 1 may not be looked at, the root of a
  /// container or of a live system still is. Memory that was made a file (memfd_create(2)) is local too.
  /// `dir` is /proc/TID of one of its threads.
  [[nodiscard]] static Result<LocalMounts> Read(const Fd& dir);
  static constexpr std::size_t kMountinfoMax = 1 << 20;

  [[nodiscard]] bool Contains(std::uint64_t mount_id) const { return ids_.contains(mount_id); }
  /// Opens for reading what an O_PATH descriptor stands for. EBADMSG: it is no regular file; EXDEV: not on
  /// one of these mounts. Never waits for another process, also not for one with a lease (fcntl(2)).
  [[nodiscard]] Result<Fd> OpenForReading(const Fd& path) const;

 private:
  std::set<std::uint64_t> ids_;
};

}  // namespace obit
