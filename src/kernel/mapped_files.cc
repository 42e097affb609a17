#include "kernel/mapped_files.h"

#include <set>
#include <string>
#include <tuple>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"
#include "kernel/local_mounts.h"
#include "kernel/mappings.h"

namespace obit {
namespace {

constexpr std::size_t kMapsMax = 1 << 20;  // bytes of maps that are looked at: some ten thousand lines

/// The mappings as far as they are looked at.
Result<std::vector<Mapping>> FirstMappings(const Fd& dir) {
  FileText maps = OBIT_TRY(ReadFileAt(dir, "maps", kMapsMax));
  if (maps.truncated) maps.text.resize(maps.text.rfind('\n') + 1);
  return ParseMappings(maps.text);
}

/// O_PATH, so that nothing is opened in truth: a FIFO or a device does not notice.
Fd OpenPath(const Fd& dir, const std::string& name) {
  return Fd(::openat(dir.get(), name.c_str(), O_PATH | O_CLOEXEC));
}

/// By its name in the process' own root, as far as the kernel knows the way without asking a file system.
Fd OpenByName(const Fd& root, const Mapping& mapping) {
  // A name that was cut leads elsewhere; so does one with an escape or " (deleted)", and is not found.
  if (!root || !mapping.name.starts_with('/') || mapping.name.size() == kMappingNameMax) return {};
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED;
  Fd file(static_cast<int>(::syscall(SYS_openat2, root.get(), mapping.name.c_str(), &how, sizeof how)));
  struct statx status{};
  if (!file || ::statx(file.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) < 0) return {};
  const bool same = status.stx_dev_major == mapping.device_major &&
                    status.stx_dev_minor == mapping.device_minor && status.stx_ino == mapping.inode;
  return same ? std::move(file) : Fd();
}

}  // namespace

Result<std::vector<MappedFile>> OpenMappedFiles(const Fd& dir) {
  const auto mappings = OBIT_TRY(FirstMappings(dir));
  const Fd root = OpenPath(dir, "root");
  const LocalMounts mounts = LocalMounts::Read(dir).value_or(LocalMounts());
  std::vector<MappedFile> files;
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>> seen;
  bool may_ask = true;  // for map_files
  for (const Mapping& mapping : mappings) {
    if (!mapping.executable || mapping.inode == 0) continue;
    if (!seen.emplace(mapping.device_major, mapping.device_minor, mapping.inode).second) continue;
    if (seen.size() > kMappedFilesMax) break;
    Fd file;
    if (may_ask) {
      file = OpenPath(dir, fmt::format("map_files/{:x}-{:x}", mapping.begin, mapping.end));
      may_ask = file || errno != EPERM;
    }
    if (!may_ask) file = OpenByName(root, mapping);
    if (!file) continue;
    if (auto readable = mounts.OpenForReading(file)) files.push_back({mapping.begin, std::move(*readable)});
  }
  return files;
}

}  // namespace obit
