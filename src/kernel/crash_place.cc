#include "kernel/crash_place.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "kernel/mappings.h"

namespace obit {
namespace {

// From include/uapi/linux/fs.h of Linux 6.11; the headers of Debian 12 do not have it.
struct ProcmapQuery {
  std::uint64_t size, flags, address;
  std::uint64_t begin, end, vma_flags, page_size, offset, inode;
  std::uint32_t device_major, device_minor, name_size, build_id_size;
  std::uint64_t name_address, build_id_address;
};
static_assert(sizeof(ProcmapQuery) == 104);
constexpr unsigned long kProcmapQuery = _IOWR('f', 17, ProcmapQuery);

Result<FileStamp> ProgramOf(const Fd& dir) {
  struct statx file{};
  if (::statx(dir.get(), "exe", AT_STATX_DONT_SYNC, STATX_INO | STATX_BTIME, &file) < 0)
    return Fail(errno, "statx");
  FileStamp program{.inode = file.stx_ino};
  if ((file.stx_mask & STATX_BTIME) != 0) {
    program.made = file.stx_btime.tv_sec;
    program.made_ns = file.stx_btime.tv_nsec;
  }
  // For the time of the last write cifs waits for its server (cifs_getattr), whatever it is told. What lies
  // on a block device has no server to wait for.
  if (file.stx_dev_major == 0) return program;
  if (::statx(dir.get(), "exe", AT_STATX_DONT_SYNC, STATX_MTIME, &file) < 0) return Fail(errno, "statx");
  program.written = file.stx_mtime.tv_sec;
  program.written_ns = file.stx_mtime.tv_nsec;
  return program;
}

}  // namespace

Result<FilePlace> FilePlaceByText(const Fd& maps, std::uint64_t address) {
  const auto mappings = OBIT_TRY(ReadMappings(maps));
  const Mapping* mapping = FindMapping(mappings, address);
  if (mapping == nullptr || mapping->inode == 0) return FilePlace{};
  return FilePlace{mapping->inode, mapping->offset + (address - mapping->begin)};
}

Result<FilePlace> FilePlaceOf(const Fd& maps, std::uint64_t address) {
  ProcmapQuery query{};
  query.size = sizeof query;
  query.address = address;
  if (::ioctl(maps.get(), kProcmapQuery, &query) < 0) {
    if (errno == ENOENT) return FilePlace{};  // nothing is mapped there
    if (errno == ENOTTY) return FilePlaceByText(maps, address);
    return Fail(errno, "ask what is mapped at {:#x}", address);
  }
  if (query.inode == 0) return FilePlace{};
  return FilePlace{query.inode, query.offset + (address - query.begin)};
}

Result<CrashPlace> ReadCrashPlace(const Fd& proc, const Fd& dir, pid_t pid) {
  CrashPlace place;
  place.facts = ReadBriefFacts(proc, dir, pid);
  const ProcessFacts& facts = place.facts;
  if (!facts.crashing || !facts.started_since_boot) return Refuse(ENOENT, "no thread of {} dumps core", pid);
  place.program = OBIT_TRY_IN(ProgramOf(dir), "look at the program of {}", pid);
  place.started = *facts.started_since_boot;
  place.pc = OBIT_TRY(FilePlaceOf(OBIT_TRY(OpenAt(dir, "maps", O_RDONLY)), facts.crashing->pc));
  return place;
}

}  // namespace obit
