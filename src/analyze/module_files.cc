#include "analyze/module_files.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <elf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/io.h"
#include "crash/exe_file.h"
#include "elf/build_id.h"
#include "elf/section.h"
#include "store/core_reader.h"

namespace obit {
namespace {

constexpr std::size_t kModulesMax = 4096;
constexpr std::uint64_t kSegmentGapMax = 64 << 20;
constexpr std::size_t kHeadBytes =
    4096;  // coredump_filter bit 4: the kernel dumps the first page of an ELF mapping
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kVdsoMax = 256 * 1024;
constexpr std::uint64_t kUnpackedMax = 512ULL << 20;  // of exe.zst

std::uint64_t PageOf(std::uint64_t address) { return address - address % kPage; }

/// The loadable segments of the ELF file whose beginning is mapped at `begin`, as its head there says:
/// hostile, as all of a core. Empty if there is none.
std::vector<Elf64_Phdr> LoadedSegments(CoreImage& image, std::uint64_t begin) {
  Elf64_Ehdr header{};
  if (image.Read(begin, std::as_writable_bytes(std::span(&header, 1))) != sizeof header ||
      !std::ranges::equal(std::span(header.e_ident).first(SELFMAG), std::string_view(ELFMAG)) ||
      header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > kHeadBytes)
    return {};
  std::vector<Elf64_Phdr> headers(std::min<std::size_t>(header.e_phnum, kHeadBytes / sizeof(Elf64_Phdr)));
  headers.resize(image.Read(begin + header.e_phoff, std::as_writable_bytes(std::span(headers))) /
                 sizeof(Elf64_Phdr));
  std::erase_if(headers, [](const Elf64_Phdr& one) { return one.p_type != PT_LOAD || one.p_memsz == 0; });
  return headers;
}

/// Where the loader's mappings of a file end that it has mapped at `begin`: by its head, each executable
/// segment lies where it should. Nothing if it is mapped there as data, to be read, or the core does not
/// tell.
std::optional<std::uint64_t> LoadedUpTo(CoreImage& image, const CoreNotes::File& first) {
  if (first.offset != 0) return std::nullopt;
  const std::vector<Elf64_Phdr> segments = LoadedSegments(image, first.begin);
  if (segments.empty() || segments.front().p_offset >= kPage) return std::nullopt;
  const std::uint64_t bias = first.begin - PageOf(segments.front().p_vaddr);
  std::uint64_t end = 0;
  bool has_code = false;
  for (const Elf64_Phdr& segment : segments) {
    end = std::max(end, bias + segment.p_vaddr + segment.p_memsz);
    if ((segment.p_flags & PF_X) == 0) continue;
    const std::uint64_t begin = bias + PageOf(segment.p_vaddr);
    const auto& files = image.notes().files;  // by address, unless they are made to deceive
    auto there = std::ranges::upper_bound(files, begin, {}, &CoreNotes::File::begin);
    if (!image.IsExecutable(begin) || there == files.begin() || begin >= (--there)->end ||
        there->path != first.path || there->offset + (begin - there->begin) != PageOf(segment.p_offset))
      return std::nullopt;
    has_code = true;
  }
  return has_code ? std::optional(end) : std::nullopt;
}

bool SameFileGoesOn(const ModuleFiles& last, const CoreNotes::File& next, const CoreImage& image) {
  if (last.module.path != next.path || next.begin < last.module.end) return false;
  // A piece of it that was mapped far away is none of its segments: node does that.
  if (next.begin - last.module.end > kSegmentGapMax) return false;
  // From its beginning again, and not just the page that text and data share: it is mapped once more.
  return next.offset != 0 || next.begin == last.module.end || !image.IsExecutable(last.module.begin);
}

std::vector<ModuleFiles> ListModules(CoreImage& image) {
  std::vector<ModuleFiles> modules;
  std::optional<std::uint64_t> loaded_up_to;  // of the last one: a program may also read its files by mmap(2)

  for (const CoreNotes::File& file : image.notes().files) {
    if (file.begin >= file.end) continue;
    const bool apart = loaded_up_to && file.begin >= *loaded_up_to;
    const bool goes_on = !modules.empty() && !apart && SameFileGoesOn(modules.back(), file, image);
    const bool inside = goes_on && loaded_up_to;
    const auto up_to = file.offset == 0 && !inside ? LoadedUpTo(image, file) : std::nullopt;
    if (!goes_on || up_to) {
      if (modules.size() >= kModulesMax) break;
      ModuleFiles& made = modules.emplace_back();
      made.module.path = file.path;
      made.module.begin = file.begin;
      made.base = file.begin - std::min(file.offset, file.begin);
      loaded_up_to = up_to;
    }
    modules.back().module.end = file.end;
    modules.back().ranges.push_back({file.begin, file.end, file.offset});
  }
  // Data files have no code. (Code may be there without a file's name: a program that moved it to huge
  // pages.)
  std::erase_if(modules, [&](const ModuleFiles& one) {
    return std::ranges::none_of(image.mappings(), [&](const CoreImage::Mapping& segment) {
      return (segment.flags & PF_X) != 0 && segment.begin < one.module.end && segment.end > one.module.begin;
    });
  });
  return modules;
}

/// Opens a regular file for reading; a FIFO or a device is not even touched.
Result<Fd> OpenRegular(const std::string& path) {
  const Fd there = OBIT_TRY(Open(path, O_PATH));
  struct stat status{};
  if (::fstat(there.get(), &status) < 0) return Fail(errno, "stat {}", path);
  if (!S_ISREG(status.st_mode)) return Refuse(EBADMSG, "{} is not a regular file", path);
  return Open(fmt::format("/proc/self/fd/{}", there.get()), O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

Result<Fd> UnpackToMemory(Fd packed) {
  CoreReader reader = OBIT_TRY(CoreReader::Open(std::move(packed)));
  if (reader.size() > kUnpackedMax) return Refuse(EFBIG, "the stored program is too large");
  Fd memory(::memfd_create("exe", MFD_CLOEXEC));
  if (!memory) return Fail(errno, "memfd_create");
  if (::ftruncate(memory.get(), static_cast<off_t>(reader.size())) < 0) return Fail(errno, "ftruncate");
  OBIT_TRY(reader.Walk([&](const CoreReader::Piece& piece) -> Result<void> {
    if (piece.hole()) return {};
    return WriteAllAt(memory, piece.bytes, piece.offset);
  }));
  return memory;
}

/// The vDSO has no file: the kernel maps it, and its core holds it whole.
void AddVdso(CoreImage& image, std::vector<ModuleFiles>& modules) {
  const auto where = image.notes().auxv.find(AT_SYSINFO_EHDR);
  if (where == image.notes().auxv.end()) return;
  const CoreImage::Mapping* segment = image.Find(where->second);
  if (segment == nullptr || segment->begin != where->second || segment->size() > kVdsoMax) return;
  std::vector<std::byte> bytes(segment->size());
  bytes.resize(image.Read(segment->begin, bytes));
  Fd memory(::memfd_create("vdso", MFD_CLOEXEC));
  if (!memory || !WriteAll(memory, bytes)) return;
  ModuleFiles vdso;
  vdso.module.path = "[vdso]";
  vdso.module.begin = vdso.base = segment->begin;
  vdso.module.end = segment->end;
  vdso.file = std::move(memory);
  modules.push_back(std::move(vdso));
}

/// `id` is empty: none is known to compare with.
bool HasBuildId(const Fd& file, const std::string& id) {
  const auto found = ReadBuildId(file);
  return found && (id.empty() || *found == id);
}

/// That `file` is what was mapped. Without a build-id in the core its size and age have to do.
Result<void> CheckIdentity(const Fd& file, const ModuleFiles& module, const CrashRecord& record,
                           bool is_exe) {
  const std::string id = OBIT_TRY(ReadBuildId(file));
  if (!module.module.build_id.empty()) {
    if (id == module.module.build_id) return {};
    return Refuse(ESTALE, "replaced since");
  }
  struct stat status{};
  if (::fstat(file.get(), &status) < 0) return Fail(errno, "stat");
  const ExeFile now = ExeFileOf(status);
  if (now.modified > record.time) return Refuse(ESTALE, "changed since");
  const auto& then = record.process.exe_file;
  if (is_exe && then && (now.bytes != then->bytes || now.modified != then->modified))
    return Refuse(ESTALE, "replaced since");
  return {};
}

/// By its name, on this host.
Result<Fd> OpenNamed(const ModuleFiles& module, const CrashRecord& record, bool is_exe) {
  constexpr std::string_view kDeleted = " (deleted)";  // d_path(): appended to a name that is gone
  const std::string& path = module.module.path;
  auto file = OpenRegular(path);
  if (!file && file.error().code == ENOENT && path.ends_with(kDeleted) && !module.module.build_id.empty())
    file = OpenRegular(path.substr(0, path.size() - kDeleted.size()));  // perhaps it was installed once more
  if (!file && file.error().code == ENOENT) return Refuse(ENOENT, "not found");
  if (!file) return file;
  if (const auto same = CheckIdentity(*file, module, record, is_exe); !same)
    return std::unexpected(same.error());
  return file;
}

void FindFile(ModuleFiles& module, AnalysisJob& job, const std::string& exe) {
  for (AnalysisJob::MappedFile& mapped : job.mapped) {
    if (!mapped.file || mapped.begin < module.module.begin || mapped.begin >= module.module.end) continue;
    module.file = std::move(mapped.file);
    return;
  }
  const bool is_exe = module.module.path == exe;
  if (job.exe && is_exe) {
    auto unpacked = UnpackToMemory(std::move(job.exe));
    // What was kept is what was executed, also without a build-id to tell.
    if (unpacked && (module.module.build_id.empty() || HasBuildId(*unpacked, module.module.build_id))) {
      module.file = std::move(*unpacked);
      return;
    }
  }
  if (auto named = OpenNamed(module, job.record, is_exe))
    module.file = std::move(*named);
  else
    module.module.problem = named.error().what;
}

/// "DIR/.build-id/ab/cdef.debug"; empty for an id that is too short to be one.
std::string BuildIdPath(const std::string& directory, const std::string& id) {
  if (id.size() < 8) return {};
  return fmt::format("{}/.build-id/{}/{}.debug", directory, id.substr(0, 2), id.substr(2));
}

Fd OpenWithBuildId(const std::string& path, const std::string& id) {
  if (path.empty()) return {};
  auto file = OpenRegular(path);
  if (!file) return {};
  const auto found = ReadBuildId(*file);
  return found && *found == id ? std::move(*file) : Fd();
}

bool HasCrc(const Fd& file, std::uint32_t wanted) {
  std::vector<std::byte> buffer(256 * 1024);
  uLong crc = ::crc32(0, nullptr, 0);
  for (std::uint64_t at = 0;;) {
    const auto got = ReadFullAt(file, buffer, at).value_or(0);
    if (got == 0) break;
    crc = ::crc32(crc, reinterpret_cast<const Bytef*>(buffer.data()), static_cast<uInt>(got));
    at += got;
  }
  return crc == wanted;
}

/// By the name in .gnu_debuglink, in the places that gdb looks at. Where one is closed to this process, the
/// module has that problem.
Fd OpenByLink(ModuleFiles& module, const DebugSections& sections,
              const std::vector<std::string>& directories) {
  if (sections.link.empty() || !module.module.path.starts_with('/')) return {};
  const std::string folder = module.module.path.substr(0, module.module.path.rfind('/'));
  std::vector<std::string> places{folder + "/.debug/" + sections.link, folder + "/" + sections.link};
  for (const std::string& directory : directories) places.push_back(directory + folder + "/" + sections.link);
  for (const std::string& place : places) {
    if (place == module.module.path) continue;
    auto file = OpenRegular(place);
    if (!file && file.error().code == EACCES) module.module.problem = file.error().what;
    if (!file) continue;
    if (!module.module.build_id.empty()) {
      if (const auto id = ReadBuildId(*file); !id || *id != module.module.build_id) continue;
    } else if (!HasCrc(*file, sections.link_crc)) {
      continue;
    }
    module.module.problem.clear();
    return std::move(*file);
  }
  return {};
}

/// Debug information by the build-id of what it is for, where debug packages put it and where libdebuginfod
/// does.
Fd OpenByBuildId(const std::string& id, const AnalysisJob& job) {
  for (const std::string& directory : job.debug_directories)
    if (Fd file = OpenWithBuildId(BuildIdPath(directory, id), id)) return file;
  if (job.debuginfod_cache.empty() || id.empty()) return {};
  return OpenWithBuildId(fmt::format("{}/{}/debuginfo", job.debuginfod_cache, id), id);
}

void FindDebugFiles(ModuleFiles& module, const AnalysisJob& job) {
  if (!module.file) return;
  auto sections = ReadDebugSections(module.file);
  if (!sections) return;
  if (!sections->has_debug_info) {
    module.debug = OpenByBuildId(module.module.build_id, job);
    if (!module.debug) module.debug = OpenByLink(module, *sections, job.debug_directories);
    if (!module.debug) return;
    sections = ReadDebugSections(module.debug);
    if (!sections) return;
  }
  if (!sections->alternate.empty()) module.alternate = OpenByBuildId(sections->alternate_build_id, job);
  if (!module.alternate && sections->alternate.starts_with('/'))
    module.alternate = OpenWithBuildId(sections->alternate, sections->alternate_build_id);
}

}  // namespace

std::vector<ModuleFiles> FindModuleFiles(CoreImage& image, AnalysisJob& job) {
  std::vector<ModuleFiles> modules = ListModules(image);
  const std::string exe = image.notes().ExecutablePath();
  for (ModuleFiles& module : modules) {
    std::array<std::byte, kHeadBytes> head;
    const std::size_t got = image.Read(module.base, head);
    module.module.build_id = FindBuildIdInHead(std::span(head).first(got));
    FindFile(module, job, exe);
    if (module.file && module.module.build_id.empty())
      module.module.build_id = ReadBuildId(module.file).value_or("");
    FindDebugFiles(module, job);
  }
  AddVdso(image, modules);
  std::ranges::sort(modules, {}, [](const ModuleFiles& one) { return one.module.begin; });
  return modules;
}

}  // namespace obit
