#pragma once

#include <cstdint>
#include <set>
#include <string_view>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// The mounts of a process whose file systems the kernel answers for by itself. Opening a file of another one
/// (FUSE, NFS) can wait for ever for whoever serves it: that may be the very process that crashed.
class LocalMounts {
 public:
  /// Decodes /proc/PID/mountinfo (proc_pid_mountinfo(5)); lines that are none are left out.
  [[nodiscard]] static LocalMounts Parse(std::string_view mountinfo);
  /// Reads that of a process, at most kMountinfoMax bytes of it. A process in a chroot sees there only what
  /// is mounted below its root; so that of process 1 is added, which has the mount that the root lies on.
  /// Memory that was made a file (memfd_create(2)) is local too. `dir` is /proc/TID of one of its threads.
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
