#pragma once

#include <string>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

// Files below a folder that somebody else may write to. Whoever owns a folder can put a link in it, and mount
// a file system of his own over it (FUSE, fusermount3(1)): whoever opens what is there, or only asks for its
// size, waits for as long as he likes. So no part of a path is a link, none goes up, and none leaves the file
// system that `dir` is on: a mount is noticed before its file system hears of it.
//
// Before Linux 5.6, or where a container's filter hides openat2(2) (ENOSYS, or EPERM of older ones), the
// parts are opened one by one: links are refused as well, mounts are entered.

/// Opens `path` below `dir`, always O_CLOEXEC. ELOOP: a part of it is a link; EXDEV: something is mounted
/// over a part of it, or it leads out of `dir`; else as openat(2).
[[nodiscard]] Result<Fd> OpenInside(const Fd& dir, const std::string& path, int flags, mode_t mode = 0);

/// What is there, as fstat(2) says it; of a link, the link itself. Fails as OpenInside().
[[nodiscard]] Result<struct stat> LookInside(const Fd& dir, const std::string& path);

/// Fails where there is nothing called `name`, which is no path, in `dir`: as LookInside(), but it takes one
/// system call and no descriptor.
[[nodiscard]] Result<void> IsThere(const Fd& dir, const std::string& name);

}  // namespace obit
