#include "catalog/index_files.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/inside.h"
#include "base/io.h"
#include "base/text.h"
#include "catalog/index_memory.h"

namespace obit {
namespace {

bool IsLog(std::string_view name) {
  const std::string_view index = kIndexFile;
  return name.starts_with(index) &&
         (name.substr(index.size()) == "-wal" || name.substr(index.size()) == "-shm");
}

constexpr std::string_view kFolders = "/obit-index/";

/// The folders of databases that are open, by the rest of their paths.
class Folders {
 public:
  static Folders& Get() {
    static Folders folders;
    return folders;
  }

  std::shared_ptr<const Fd> Find(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = folders_.find(name);
    return found == folders_.end() ? nullptr : found->second.lock();
  }

  std::shared_ptr<const Fd> Add(const std::string& name, Fd folder) {
    const std::lock_guard lock(mutex_);
    std::erase_if(folders_, [](const auto& known) { return known.second.expired(); });
    auto opened = folders_[name].lock();
    if (!opened) folders_[name] = opened = std::make_shared<const Fd>(std::move(folder));
    return opened;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const Fd>> folders_;
};

/// What a path of SQLite's means. ENOENT: its folder is not there.
struct Place {
  std::shared_ptr<const Fd> folder;
  std::string name;  // "." is the folder itself
};
Result<Place> PlaceOf(std::string_view path) {
  Place place{nullptr, std::string(FileNameOf(path))};
  if (!path.starts_with(kFolders)) {  // a database that is no index of obit's: tests open some
    const std::string folder(path.substr(0, path.size() - place.name.size()));
    place.folder =
        std::make_shared<const Fd>(OBIT_TRY(Open(folder.empty() ? "." : folder, O_PATH | O_DIRECTORY)));
    return place;
  }
  path.remove_prefix(kFolders.size());
  place.folder = Folders::Get().Find(std::string(path.substr(0, path.find('/'))));
  if (!path.contains('/')) place.name = ".";
  if (!place.folder) return Fail(ENOENT, "look for the folder of an index");
  return place;
}

/// A file of the user of its folder, or of one's own, under this name alone.
bool IsHarmless(const Fd& file, const Fd& folder) {
  struct stat opened{}, parent{};
  return ::fstat(file.get(), &opened) == 0 && S_ISREG(opened.st_mode) && opened.st_nlink <= 1 &&
         ::fstat(folder.get(), &parent) == 0 &&
         (opened.st_uid == parent.st_uid || opened.st_uid == ::geteuid());
}

// In the place of system calls, with their names and errno.

int OpenIndexFile(const char* path, int flags, int mode) {
  if (path == std::string_view("/dev/urandom")) return ::open(path, flags | O_CLOEXEC, mode);
  const auto place = PlaceOf(path);
  if (!place) return errno = place.error().code, -1;
  // SQLite syncs the folder of a log, too.
  const bool is_file = place->name == kIndexFile || IsLog(place->name);
  // O_NONBLOCK: neither a FIFO nor a lease of somebody holds the open.
  flags = is_file ? flags | O_NONBLOCK | O_NOCTTY : O_RDONLY | O_DIRECTORY;
  auto file = OpenInside(*place->folder, place->name, flags, static_cast<mode_t>(mode));
  if (!file) return errno = file.error().code, -1;
  if (is_file && !IsHarmless(*file, *place->folder))
    return errno = EBADMSG, -1;  // as a damaged index: it is made anew
  return file->Release();
}

/// Asked whether there is a journal.
int LookAtIndexFile(const char* path, struct stat* status) {
  if (std::string_view(path).ends_with("-journal")) return errno = ENOENT, -1;
  const auto place = PlaceOf(path);
  const auto found = place ? LookInside(*place->folder, place->name) : std::unexpected(place.error());
  if (!found) return errno = found.error().code, -1;
  *status = *found;
  return 0;
}

int RemoveIndexFile(const char* path) {
  const auto place = PlaceOf(path);
  if (!place || !IsLog(place->name)) return errno = ENOENT, -1;
  return ::unlinkat(place->folder->get(), place->name.c_str(), 0);
}

/// SQLite's own follows links, and asks for the working folder.
int KeepPath(sqlite3_vfs* /*files*/, const char* path, int size, char* out) {
  const std::string_view name(path);
  if (size <= 0 || name.size() >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  *std::ranges::copy(name, out).out = '\0';
  return SQLITE_OK;
}

/// SQLite tries for ten seconds to agree with others on memory that it has for itself by now.
int SleepUnlessCut(sqlite3_vfs* /*own*/, int microseconds) {
  if (IsIndexMemoryCut()) return microseconds;
  sqlite3_vfs* const files = sqlite3_vfs_find(nullptr);
  return files->xSleep(files, microseconds);
}

template <class Call>
void Replace(sqlite3_vfs* files, const char* name, Call call) {
  files->xSetSystemCall(files, name, reinterpret_cast<sqlite3_syscall_ptr>(call));
}

}  // namespace

void GuardIndexFiles() {
  static std::once_flag done;
  std::call_once(done, [] {
    sqlite3_vfs* files = sqlite3_vfs_find(nullptr);
    Replace(files, "open", OpenIndexFile);
    Replace(files, "stat", LookAtIndexFile);
    Replace(files, "unlink", RemoveIndexFile);
    GuardIndexMemory(files);
    static sqlite3_vfs own;  // the same, but for the paths
    own = *files;
    own.zName = kIndexFileSystem;
    own.pNext = nullptr;
    own.xFullPathname = KeepPath;
    own.xSleep = SleepUnlessCut;
    (void)sqlite3_vfs_register(&own, 0);  // what fails shows when a database is opened
  });
}

Result<IndexFolder> ShowFolder(const Fd& folder) {
  struct stat status{};
  if (::fstat(folder.get(), &status) < 0) return Fail(errno, "look at the folder of the index");
  const std::string name = fmt::format("{:x}-{:x}", status.st_dev, status.st_ino);
  auto opened = Folders::Get().Add(name, OBIT_TRY(Duplicate(folder)));
  return IndexFolder{std::string(kFolders) + name, std::move(opened)};
}

}  // namespace obit
