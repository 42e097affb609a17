#include "analyze/loaded_files.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <elf.h>

#include "elf/loader_lists.h"

namespace obit {
namespace {

constexpr std::size_t kFilesMax = 16384, kHeadersMax = 64;
constexpr std::size_t kPathMax = 4096;
constexpr std::uint64_t kPage = 4096;

class LoadedFiles {
 public:
  explicit LoadedFiles(CoreImage& image)
      : image_(image), lists_(ElfClass::k64, [&image](std::uint64_t address, std::span<std::byte> out) {
          return image.Read(address, out) == out.size();
        }) {}

  std::vector<CoreNotes::File> Find() {
    const std::uint64_t headers = Auxiliary(AT_PHDR), count = Auxiliary(AT_PHNUM);
    if (headers == 0) return {};
    const LoaderLists::Headers program = lists_.ReadHeaders(headers, count);
    // Without PT_PHDR the headers are behind the ELF header, with which the file begins.
    const std::uint64_t moved =
        program.headers ? headers - *program.headers : headers - sizeof(Elf64_Ehdr) - program.begin;
    const auto path = image_.ReadText(Auxiliary(AT_EXECFN), kPathMax);
    Add(headers, count, moved, path.value_or(""));
    if (files_.empty()) AddFirstMapping(headers, path.value_or(""));
    if (program.dynamic) AddLibraries(moved + *program.dynamic);
    std::ranges::sort(files_, {}, &CoreNotes::File::begin);
    return std::move(files_);
  }

 private:
  std::uint64_t Auxiliary(std::uint64_t type) const {
    const auto found = image_.notes().auxv.find(type);
    return found == image_.notes().auxv.end() ? 0 : found->second;
  }

  template <class T>
  std::optional<T> ReadAs(std::uint64_t address) {
    T value{};
    const auto bytes = std::as_writable_bytes(std::span(&value, 1));
    return image_.Read(address, bytes) == bytes.size() ? std::optional(value) : std::nullopt;
  }

  /// The segments that the program headers at `address` tell; the file was moved by `moved`.
  void Add(std::uint64_t address, std::uint64_t count, std::uint64_t moved, const std::string& path) {
    if (!path.starts_with('/')) return;  // it would be another one for each folder that we may be in
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(count, kHeadersMax); ++i) {
      const auto header = ReadAs<Elf64_Phdr>(address + i * sizeof(Elf64_Phdr));
      if (!header) return;
      if (header->p_type != PT_LOAD || header->p_filesz == 0 || files_.size() >= kFilesMax) continue;
      const std::uint64_t begin = header->p_vaddr + moved, end = begin + header->p_filesz;
      if (end < begin || end > UINT64_MAX - kPage || begin % kPage != header->p_offset % kPage) continue;
      files_.push_back({.begin = begin - begin % kPage,
                        .end = (end + kPage - 1) / kPage * kPage,
                        .offset = header->p_offset - header->p_offset % kPage,
                        .path = path});
    }
  }

  /// Text was not dumped, and the headers with it: the mapping that they lie in begins with the file.
  void AddFirstMapping(std::uint64_t headers, const std::string& path) {
    const CoreImage::Mapping* mapping = image_.Find(headers);
    if (mapping == nullptr || !path.starts_with('/') || headers - mapping->begin != sizeof(Elf64_Ehdr))
      return;
    files_.push_back({.begin = mapping->begin, .end = mapping->end, .offset = 0, .path = path});
  }

  void AddLibraries(std::uint64_t dynamic) {
    std::uint64_t debug = 0;
    lists_.ForEachDynamic(dynamic, [&](const LoaderLists::Dynamic& entry) {
      if (entry.tag == DT_DEBUG) debug = entry.value;
      return debug == 0;
    });
    if (debug == 0) return;
    std::size_t seen = 0;  // a hostile list goes on as long as the core has memory
    const auto add = [&](const LoaderLists::Library& library) {
      // It was moved by l_addr, and begins there: libraries are linked for address 0.
      const auto moved = lists_.ReadWord(library.at);
      const auto path = library.name == 0 ? std::nullopt : image_.ReadText(library.name, kPathMax);
      const auto header =
          moved && *moved != 0 && path && path->starts_with('/') ? ReadAs<Elf64_Ehdr>(*moved) : std::nullopt;
      const bool is_elf = header && std::memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
                          header->e_ident[EI_CLASS] == ELFCLASS64 &&
                          header->e_phentsize == sizeof(Elf64_Phdr);
      if (is_elf) Add(*moved + header->e_phoff, header->e_phnum, *moved, *path);
      return ++seen < kFilesMax;
    };
    lists_.ForEachLibrary(
        debug, {.list = [&](std::uint64_t, std::uint64_t) { return seen++ < kFilesMax; }, .library = add});
  }

  CoreImage& image_;
  LoaderLists lists_;
  std::vector<CoreNotes::File> files_;
};

}  // namespace

std::vector<CoreNotes::File> FindLoadedFiles(CoreImage& image) { return LoadedFiles(image).Find(); }

}  // namespace obit
