#include "capture/mapping_ties.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::uint64_t kHugePage = 2 << 20;  // bytes, the smallest one of x86-64
constexpr std::string_view kDeleted = " (deleted)";
constexpr std::size_t kNameMax = 80;  // bytes of a name in a reason

std::string NameOf(const Mapping& mapping) {
  return EscapeControls(std::string_view(mapping.name).substr(0, kNameMax));
}

/// /dev/zero and memory that is there as a file in /dev/shm are nobody's device.
bool IsDevice(std::string_view name) {
  if (name.starts_with("/dmabuf:")) return true;
  return name.starts_with("/dev/") && !name.starts_with("/dev/zero") && !name.starts_with("/dev/shm/");
}

/// hugetlbfs, as far as maps tells: a file system without a device, and a mapping of whole huge pages.
/// MAP_HUGETLB has no file system of anybody's, and a name of its own (mm/hugetlb.c).
bool MayBeHugePages(const Mapping& mapping, bool is_memory) {
  if (mapping.name.starts_with("/anon_hugepage")) return true;
  return mapping.inode != 0 && mapping.device_major == 0 && !is_memory && mapping.begin % kHugePage == 0 &&
         mapping.end % kHugePage == 0;
}

/// Each JVM locks and shares /tmp/hsperfdata_USER/PID, where nobody else writes, and which nobody else wants
/// to lock: but in containers, where the next one has the same pid, which is another one here.
bool IsOfThisJvm(std::string_view name, pid_t pid) {
  if (name.ends_with(kDeleted)) name.remove_suffix(kDeleted.size());
  return name.contains("/hsperfdata_") && name.ends_with(fmt::format("/{}", pid));
}

std::string TieOf(const Mapping& mapping, const MemoryTies& ties, bool is_memory, pid_t pid) {
  const std::string_view name = mapping.name;
  // A listening socket, a ring of io_uring: what they hold stays bound, and their peers are told of no end.
  if (name.starts_with("anon_inode:") || name.starts_with("socket:"))
    return fmt::format("{} is mapped", NameOf(mapping));
  if (name.starts_with("/SYSV")) return "it has memory of System V, which counts who is attached";
  if (name.contains("[aio]")) return "it has requests of aio under way";
  if (IsDevice(name)) return fmt::format("the device {} is mapped", NameOf(mapping));
  if (MayBeHugePages(mapping, is_memory))
    return fmt::format("{} may have huge pages, of which there are few", NameOf(mapping));
  if (IsOfThisJvm(name, pid)) return "";
  const MemoryTies::LockedFile file{mapping.device_major, mapping.device_minor, mapping.inode};
  if (mapping.inode != 0 && std::ranges::find(ties.locked, file) != ties.locked.end())
    return fmt::format("{} is mapped and locked", NameOf(mapping));
  return "";
}

}  // namespace

MappingTies FindMappingTies(const std::vector<Mapping>& mappings, const MemoryTies& ties, dev_t memory_device,
                            pid_t pid) {
  MappingTies found{.tied = ties.hold, .shared = {}};
  for (const Mapping& mapping : mappings) {
    const bool is_memory = memory_device != 0 && mapping.device_major == ::major(memory_device) &&
                           mapping.device_minor == ::minor(memory_device);
    if (found.tied.empty()) found.tied = TieOf(mapping, ties, is_memory, pid);
    if (mapping.shared && !IsOfThisJvm(mapping.name, pid))
      found.shared.push_back({mapping.begin, mapping.end, is_memory});
  }
  return found;
}

dev_t MemoryDevice() {
  const Fd memory(::memfd_create("device", MFD_CLOEXEC));
  struct stat status{};
  return memory && ::fstat(memory.get(), &status) == 0 ? status.st_dev : dev_t{0};
}

}  // namespace obit
