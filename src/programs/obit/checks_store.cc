#include <array>
#include <cerrno>
#include <functional>
#include <optional>

#include <fcntl.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/inside.h"
#include "base/io.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "catalog/list.h"
#include "checks.h"
#include "common.h"
#include "config/defaults.h"
#include "kernel/core_pattern.h"
#include "listener.h"
#include "process/privileges.h"
#include "render/units.h"
#include "store/folder.h"

namespace obit {
namespace {

using enum Finding::Verdict;

/// Who writes to the store.
struct Writer {
  User user;
  std::string name = "obitd";  ///< for people
  pid_t pid = 0;               ///< 0: it does not run, or not where it can be seen
};

/// The obitd that gets the crashes, else the one at the usual place, else what one would be.
Writer FindWriter() {
  std::vector<Endpoint> endpoints{{kDefaultSocket, SOCK_STREAM}};
  if (const auto pattern = ReadCorePattern())
    if (const auto endpoint = EndpointOf(*pattern)) endpoints.insert(endpoints.begin(), *endpoint);
  for (const Endpoint& endpoint : endpoints)
    if (const auto listener = FindListener(endpoint); listener && listener->comm.starts_with("obitd"))
      return {listener->user, fmt::format("obitd {}", listener->pid), listener->pid};
  if (const auto user = FindUser(kDefaultUser); user && *user) return {**user};
  return {};
}

/// A file without a name, which is gone whatever becomes of this process.
Result<Fd> MakeNamelessFile(const Fd& dir) {
  auto file = OpenInside(dir, ".", O_WRONLY | O_TMPFILE, 0600);
  if (file || (file.error().code != EOPNOTSUPP && file.error().code != EISDIR)) return file;
  const std::string name = fmt::format(".doctor-{}", ::getpid());
  file = OpenInside(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (file && ::unlinkat(dir.get(), name.c_str(), 0) < 0) return Fail(errno, "remove {}", name);
  return file;
}

/// A file of some bytes in `folder`, made, and written to the disk.
Result<void> TryFile(const Fd& root, const char* folder) {
  const Fd dir = OBIT_TRY(OpenInside(root, folder, O_RDONLY | O_DIRECTORY));
  const Fd file = OBIT_TRY(MakeNamelessFile(dir));
  OBIT_TRY(WriteAll(file, std::string(4096, 'x')));
  return Sync(file);
}

/// A folder, as a crash comes from incoming/ into crashes/. Where this process is killed it leaves one that
/// is empty, and that nobody takes for a crash.
Result<void> TryMove(const Fd& root) {
  const Fd incoming = OBIT_TRY(OpenInside(root, "incoming", O_RDONLY | O_DIRECTORY));
  const Fd crashes = OBIT_TRY(OpenInside(root, "crashes", O_RDONLY | O_DIRECTORY));
  const std::string name = fmt::format(".doctor-{}", ::getpid());
  if (::mkdirat(incoming.get(), name.c_str(), 0700) < 0) return Fail(errno, "make folder {}", name);
  auto moved = MoveFolder(incoming, name, crashes, name);
  ::unlinkat((moved ? crashes : incoming).get(), name.c_str(), AT_REMOVEDIR);
  return moved;
}

/// What obitd does there, as `user`, in children; the caller is root, or that user.
Result<void> TryWritingAs(const User& user, const Fd& root) {
  struct Try {
    const char* what;
    std::function<Result<void>()> attempt;
  };
  const std::array tries{
      Try{"a file in crashes", [&] { return TryFile(root, "crashes"); }},
      Try{"a file in incoming", [&] { return TryFile(root, "incoming"); }},
      Try{"a folder from incoming to crashes", [&] { return TryMove(root); }},
  };
  for (const auto& [what, attempt] : tries) {
    const pid_t pid = ::fork();
    if (pid < 0) return Fail(errno, "start a process");
    if (pid == 0) {
      ::prctl(PR_SET_DUMPABLE, 0);
      if (::geteuid() == 0 && user.uid != 0 &&
          (::setgroups(0, nullptr) < 0 || ::setresgid(user.gid, user.gid, user.gid) < 0 ||
           ::setresuid(user.uid, user.uid, user.uid) < 0))
        ::_exit(errno);
      const auto tried = attempt();
      ::_exit(tried ? 0 : tried.error().code);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status)) return Refuse(EPROTO, "the try of {} was ended", what);
    if (WEXITSTATUS(status) != 0) return Fail(WEXITSTATUS(status), "{}", what);
  }
  return {};
}

std::string Named(uid_t uid) {
  if (uid == 0) return "root";
  const auto obit = FindUser(kDefaultUser);
  return obit && *obit && (*obit)->uid == uid ? kDefaultUser : fmt::format("uid {}", uid);
}

/// As obitd sees the store: its mount namespace is its own, under systemd with most of it read-only.
Result<Fd> OpenFor(const Writer& writer, const std::string& path) {
  if (writer.pid == 0 || !path.starts_with('/')) return Open(path, O_PATH | O_DIRECTORY);
  auto root = Open(fmt::format("/proc/{}/root{}", writer.pid, path), O_PATH | O_DIRECTORY);
  if (!root && root.error().code == EACCES) return Open(path, O_PATH | O_DIRECTORY);
  return root;
}

Finding CheckWriting(const std::string& path) {
  constexpr const char* kWhat = "writing there";
  const Writer writer = FindWriter();
  const std::string who = fmt::format("{} as {}", writer.name, Named(writer.user.uid));
  if (::geteuid() != 0 && ::geteuid() != writer.user.uid)
    return MakeFinding(kWhat, "", kUnknown, "only root can tell");
  const auto root = OpenFor(writer, path);
  struct stat status{};
  if (!root || ::fstat(root->get(), &status) < 0)
    return MakeFinding(kWhat, who, kFailure,
                       root ? "it cannot be looked at" : "obitd does not see it: " + root.error().what);
  const auto tried = TryWritingAs(writer.user, *root);
  if (!tried) {
    std::string why = tried.error().what;
    if (status.st_uid != writer.user.uid)
      why += fmt::format("; the store belongs to {}", Named(status.st_uid));
    if (tried.error().code == EROFS && writer.pid != 0)
      why += " for obitd (ReadWritePaths= of its unit: docs/service.md)";
    return MakeFinding(kWhat, who, kFailure, why);
  }
  if (status.st_uid != writer.user.uid)
    return MakeFinding(kWhat, who, kWarning, fmt::format("the store belongs to {}", Named(status.st_uid)));
  if ((status.st_mode & S_IWOTH) != 0)
    return MakeFinding(kWhat, who, kWarning, "everybody else can write there too: chmod o-w");
  return MakeFinding(kWhat, who, kOk, "tried");
}

/// Bytes and inodes, for whoever is not root.
Finding CheckRoom(const Store& store) {
  struct statvfs disk{};
  if (::fstatvfs(store.root().get(), &disk) < 0)
    return MakeFailure("room", "", Fail(errno, "ask the file system").error());
  constexpr std::uint64_t kNone = 1ULL << 20, kLittle = 1ULL << 30;  // bytes
  constexpr std::uint64_t kNoFiles = 16, kFewFiles = 10'000;  // a crash has some, in a folder of its own
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const bool counted = disk.f_files != 0;  // not every file system counts inodes
  std::string found = FormatBytes(free) + " free";
  if (counted) found += fmt::format(", {} inodes", disk.f_favail);
  if (free < kNone) return MakeFinding("room", found, kFailure, "none for a record (obit vacuum, obit rm)");
  if (counted && disk.f_favail < kNoFiles)
    return MakeFinding("room", found, kFailure, "no inodes for a record (obit rm)");
  if (free < kLittle)
    return MakeFinding("room", found, kWarning, "little: cores will be cut (obit vacuum, obit rm)");
  if (counted && disk.f_favail < kFewFiles)
    return MakeFinding("room", found, kWarning, "few inodes (obit rm)");
  return MakeFinding("room", found, kOk, "");
}

/// What is named as a day in crashes/ and is no folder, or one that something is mounted over: crashes of
/// that day cannot be committed, nor found.
std::string DaysThatAreNone(const Store& store) {
  std::vector<std::string> names;
  for (const std::string& day : store.Days().value_or(std::vector<std::string>())) {
    const auto status = LookInside(store.root(), "crashes/" + day);
    if (status ? !S_ISDIR(status->st_mode) : status.error().code == EXDEV) names.push_back(day);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

Finding CheckContent(const Store& store, const std::string& path) {
  const auto list = ListCrashes(store);
  if (!list) return MakeFailure("store", path, list.error());
  std::uint64_t stored = 0;
  for (const CrashSummary& crash : list->crashes) stored += crash.stored_bytes;
  const std::string found =
      fmt::format("{}: {}, {} stored", path, FormatCount(list->crashes.size(), "crash"), FormatBytes(stored));
  if (const std::string stray = DaysThatAreNone(store); !stray.empty())
    return MakeFinding("store", found, kWarning,
                       fmt::format("no folders of days, remove or unmount them: crashes/{}", stray));
  if (!list->broken.empty())
    return MakeFinding("store", found, kWarning,
                       fmt::format("{} records cannot be read: obit list", list->broken.size()));
  if (!list->partial.empty())
    return MakeFinding(
        "store", found, kWarning,
        fmt::format("of {} not all can be read: obit list", FormatCount(list->partial.size(), "crash")));
  if (!list->unreadable.empty())
    return MakeFinding("store", found, kWarning,
                       fmt::format("there may be more: {}", list->unreadable.front().why.what));
  return MakeFinding("store", found, kOk, "");
}

}  // namespace

std::vector<Finding> CheckStore(const std::string& path) {
  const auto store = Store::Open(path);
  if (!store && store.error().code == ENOENT)
    return {MakeFinding("store", path, kFailure, "there is none: obitd makes it when it starts")};
  if (!store) return {MakeFailure("store", path, store.error())};
  return {CheckContent(*store, path), CheckRoom(*store), CheckWriting(path)};
}

}  // namespace obit
