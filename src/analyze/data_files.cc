#include "analyze/data_files.h"

#include <array>
#include <csignal>
#include <set>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file_time.h"
#include "base/io.h"
#include "crash/identity.h"

namespace obit {
namespace {

DataFile::On KindOf(long magic) {
  switch (magic) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
      return DataFile::On::kMemory;
    case HUGETLBFS_MAGIC:
      return DataFile::On::kHugePages;
    default:
      return DataFile::On::kDisk;
  }
}

/// Its names are names of this host.
bool IsOfThisRoot(const CrashRecord& record) {
  return (record.process.root.empty() || record.process.root == "/") &&
         IdentityOf(record.process.cgroup).container.empty();
}

std::string OwnMountNamespace() {
  std::array<char, 64> name{};
  const ssize_t got = ::readlink("/proc/self/ns/mnt", name.data(), name.size());
  return got > 0 ? std::string(name.data(), static_cast<std::size_t>(got)) : "";
}

}  // namespace

std::vector<DataFile> FindDataFiles(const CoreImage& image, const CrashRecord& record) {
  std::vector<DataFile> files;
  if ((record.signal.number != SIGBUS && !IsSentByItself(record)) || !IsOfThisRoot(record)) return files;
  std::set<std::string_view> seen;
  const bool certain = OwnMountNamespace() == record.process.mount_namespace;
  for (const CoreNotes::File& file : image.notes().files) {
    if (seen.size() >= kDataFilesMax) break;
    if (!file.path.starts_with('/') || !seen.insert(file.path).second) continue;
    const auto there = Open(file.path, O_PATH | O_NOFOLLOW);
    struct stat status{};
    struct statfs system{};
    if (!there || ::fstat(there->get(), &status) < 0 || !S_ISREG(status.st_mode) ||
        ::fstatfs(there->get(), &system) < 0)
      continue;
    files.push_back({.path = file.path,
                     .bytes = static_cast<std::uint64_t>(status.st_size),
                     .modified = NanosecondsOf(status.st_mtim),
                     .certain = certain,
                     .on = KindOf(system.f_type)});
  }
  return files;
}

}  // namespace obit
