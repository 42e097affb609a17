#include <algorithm>
#include <csignal>

#include "analyze/memory_fault.h"

namespace obit {
namespace {

const CoreNotes::File* FileAt(const CrashScene& scene, std::uint64_t address) {
  const auto& files = scene.image.notes().files;
  const auto found = std::ranges::find_if(
      files, [&](const CoreNotes::File& file) { return address >= file.begin && address < file.end; });
  return found == files.end() ? nullptr : &*found;
}

const DataFile* OnHost(const CrashScene& scene, const std::string& path) {
  const auto found = std::ranges::find(scene.data_files, path, &DataFile::path);
  return found == scene.data_files.end() ? nullptr : &*found;
}

/// An alignment check (#AC) tells no address: that of the operand it is.
Cause Misaligned(const CrashScene& scene, std::uint64_t address) {
  Cause cause{.kind = CauseKind::kMisaligned, .address = address};
  if (!scene.instruction) return cause;
  cause.instruction = scene.instruction->text;
  for (const auto& operand : scene.instruction->memory) {
    const std::uint64_t at = AddressOf(scene, operand);
    const std::uint32_t alignment = std::max(operand.alignment, std::min(operand.size, 8U));
    if (alignment < 2 || at % alignment == 0) continue;
    cause.access = AccessOf(&operand);
    cause.address = at;
    cause.place = scene.names.MappingName(at);
    cause.reg = operand.base_name;
    cause.alignment = alignment;
    break;
  }
  return cause;
}

/// There was no page for the address, though it is mapped.
Cause NoPage(const CrashScene& scene, std::uint64_t address) {
  Cause cause{.kind = CauseKind::kBusError,
              .access = AccessOf(OperandAt(scene, address)),
              .address = address,
              .place = scene.names.MappingName(address)};
  const CoreNotes::File* file = FileAt(scene, address);
  if (file == nullptr) return cause;
  cause.place = file->path;
  const std::string_view path = file->path;
  // Names that the kernel gives to memory without a file (mm/shmem.c, mm/hugetlb.c, ipc/shm.c): it is as long
  // as its mapping.
  if (path.starts_with("/anon_hugepage")) {
    cause.kind = CauseKind::kNoHugePage;
    return cause;
  }
  if (path.starts_with("/dev/zero (deleted)") || path.starts_with("/SYSV")) {
    cause.kind = CauseKind::kNoFileSpace;
    return cause;
  }
  const DataFile* now = OnHost(scene, file->path);
  if (now == nullptr) {  // how long it was, nobody knows any more
    cause.what = "the file ends before its mapping does, or its file system is full";
    return cause;
  }
  const std::uint64_t offset = file->offset + (address - file->begin) / kMemoryPage * kMemoryPage;
  cause.guess = !now->certain || now->modified > scene.record.time;  // it may have had another length
  if (offset >= now->bytes) {
    cause.kind = CauseKind::kTruncatedFile;
  } else if (now->on == DataFile::On::kHugePages) {
    cause.kind = CauseKind::kNoHugePage;
  } else if (now->on == DataFile::On::kMemory || cause.access == MemoryAccess::kWrite) {
    cause.kind = CauseKind::kNoFileSpace;
    cause.guess = cause.guess || now->on == DataFile::On::kDisk;
  } else {
    cause.what = "the file could not be read";
  }
  return cause;
}

}  // namespace

Cause FindBusError(CrashScene& scene, std::uint64_t address) {
  switch (scene.record.signal.code.value_or(0)) {
    case BUS_ADRALN:
      return Misaligned(scene, address);
    case BUS_MCEERR_AR:
    case BUS_MCEERR_AO:
      return {
          .kind = CauseKind::kHardwareMemory, .address = address, .place = scene.names.MappingName(address)};
    case BUS_ADRERR:
    case BUS_OBJERR:
      return NoPage(scene, address);
    default:
      return {.kind = CauseKind::kBusError, .address = address, .place = scene.names.MappingName(address)};
  }
}

}  // namespace obit
