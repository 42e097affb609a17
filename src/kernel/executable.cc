#include "kernel/executable.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

namespace obit {
namespace {

constexpr std::string_view kDeleted = " (deleted)";  // d_path(): appended to a name that is gone

std::string Link(const Fd& dir, const std::string& name) { return ReadLinkAt(dir, name).value_or(""); }

/// The mount namespace of the first process, else of this one, whose services have their own.
std::string FirstMountNamespace(const Fd& proc) {
  std::string first = Link(proc, "1/ns/mnt");
  return first.empty() ? Link(proc, "self/ns/mnt") : first;
}

bool IsOfFirstNamespace(const Fd& proc, const Fd& dir) {
  const std::string own = Link(dir, "ns/mnt");
  return !own.empty() && own == FirstMountNamespace(proc);
}

/// This process may see other folders than the first one: a service can have a /tmp of its own.
Fd FirstRoot(const Fd& proc) {
  Fd root(::openat(proc.get(), "1/root", O_PATH | O_CLOEXEC));
  return root ? std::move(root) : Fd(::open("/", O_PATH | O_CLOEXEC));
}

/// 0 if `path` leads to `file` from `root`; ENOENT: nowhere, or elsewhere; EACCES: that is not for the caller
/// to know; EAGAIN: its file system would have to be asked.
int LookUp(const Fd& root, const std::string& path, const struct statx& file) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED;
  const Fd named(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  if (!named) return errno;
  struct statx there{};
  if (::statx(named.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &there) < 0) return errno;
  const bool same = there.stx_ino == file.stx_ino && there.stx_dev_major == file.stx_dev_major &&
                    there.stx_dev_minor == file.stx_dev_minor;
  return same ? 0 : ENOENT;
}

}  // namespace

ExecutableName ReadExecutableLink(const Fd& dir) {
  ExecutableName name;
  auto target = ReadLinkAt(dir, "exe");
  if (!target) {
    name.too_long = target.error().code == ENAMETOOLONG;
    return name;
  }
  name.path = std::move(*target);
  if (!name.path.ends_with(kDeleted)) return name;
  name.path.resize(name.path.size() - kDeleted.size());
  name.deleted = true;
  return name;
}

ExecutableName ReadExecutableName(const Fd& proc, const Fd& dir) {
  ExecutableName name = ReadExecutableLink(dir);
  if (!name.deleted) return name;
  // A file can be called so. If it is, its name leads to it.
  std::string whole = name.path + std::string(kDeleted);
  struct statx running{};
  if (::statx(dir.get(), "exe", AT_STATX_DONT_SYNC, STATX_INO | STATX_NLINK, &running) == 0 &&
      running.stx_nlink > 0) {
    const Fd root =
        IsOfFirstNamespace(proc, dir) ? FirstRoot(proc) : Fd(::openat(dir.get(), "root", O_PATH | O_CLOEXEC));
    if (root && LookUp(root, whole, running) == 0) return {.path = std::move(whole)};
  }
  return name;
}

Result<Fd> OpenExecutable(const Fd& dir) {
  // It is a magic link, so O_NOFOLLOW of OpenAt() does not fit.
  const int fd = ::openat(dir.get(), "exe", O_PATH | O_CLOEXEC);
  if (fd < 0) return Fail(errno, "open the executable");
  return Fd(fd);
}

bool IsReachable(const Fd& proc, const Fd& dir, const ExecutableName& name, const Fd& opened) {
  struct statx running{};
  constexpr int kFlags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (name.deleted || !name.path.starts_with('/') ||
      ::statx(opened.get(), "", kFlags, STATX_INO | STATX_NLINK, &running) < 0 || running.stx_nlink == 0)
    return false;
  const int error = LookUp(FirstRoot(proc), name.path, running);
  if (error == 0 || error == EACCES) return true;
  // In one namespace and one root the kernel's name for it is the name, as long as nothing else is known.
  return error == EAGAIN && IsOfFirstNamespace(proc, dir) && Link(dir, "root") == "/";
}

}  // namespace obit
