#include "capture/minimal_loader.h"

#include <algorithm>
#include <span>
#include <utility>

#include <elf.h>

#include "elf/loader_lists.h"

namespace obit {
namespace {

constexpr std::uint64_t kHeadersMax = 256, kDynamicMax = 1024;  // entries
constexpr int kNamespacesMax = 16, kLibrariesMax = 4096;
constexpr std::uint64_t kNameMax = 4096, kLinkMap = 1280;  // bytes; struct link_map of glibc 2.36 has 1,160

std::uint64_t Auxiliary(const CoreNotes& notes, std::uint64_t type) {
  const auto found = notes.auxv.find(type);
  return found == notes.auxv.end() ? 0 : found->second;
}

/// What the lists from a struct r_debug on say.
void KeepLists(KeptMemory& memory, const LoaderLists& lists, std::uint64_t debug) {
  int namespaces = 0, libraries = 0;
  const auto keep_list = [&](std::uint64_t address, std::uint64_t bytes) {
    if (++namespaces > kNamespacesMax) return false;
    memory.Keep(address, bytes);
    return true;
  };
  const auto keep_library = [&](const LoaderLists::Library& one) {
    if (++libraries > kLibrariesMax || memory.is_full()) return false;
    memory.Keep(one.at, kLinkMap);
    memory.Keep(one.name, memory.TextLength(one.name, kNameMax) + 1);
    memory.Keep(one.dynamic, PageBytes());
    return true;
  };
  lists.ForEachLibrary(debug, {keep_list, keep_library});
}

/// The dynamic loader and the C library have lists that debuggers read.
bool IsOfTheSystem(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("ld-") || name.starts_with("ld.so") || name.starts_with("libc.so") ||
         name.starts_with("libc-") || name.starts_with("libpthread");
}

/// Pages that their data points to: the blocks of thread-local variables are listed in memory that the loader
/// mapped for itself, and so is the text of an abort.
void KeepWhatItPointsTo(KeptMemory& memory, const ProcessMapping& data, std::uint64_t max) {
  constexpr std::uint64_t kPagesMax = 64;
  if (memory.is_full()) return;
  std::uint64_t pages = 0;
  const std::uint64_t end = data.begin + std::min(data.end - data.begin, max);
  memory.ForEachKeptWord(data.begin, end, [&](std::uint64_t word) {
    if (memory.Has(word)) return true;
    const ProcessMapping* there = memory.map().Find(word);
    if (there == nullptr || !there->is_anonymous() || !there->is_writable() || there == &data) return true;
    // malloc's lists lead into the heap; what begins a page was mapped for a purpose of its own.
    const bool is_small = there->end - there->begin <= 256 * 1024;
    if (!is_small && word % PageBytes() != 0) return true;
    memory.Keep(word, 1);
    return ++pages < kPagesMax && !memory.is_full();
  });
}

}  // namespace

void KeepLoaderLists(KeptMemory& memory, const CoreNotes& notes) {
  const std::uint64_t headers = Auxiliary(notes, AT_PHDR);
  const std::uint64_t count = std::min(Auxiliary(notes, AT_PHNUM), kHeadersMax);
  const ProcessMapping* program = memory.map().Find(headers);
  const LoaderLists lists(ElfClass::k64, [&memory](std::uint64_t address, std::span<std::byte> out) {
    return memory.Read(address, out);
  });
  if (program == nullptr || Auxiliary(notes, AT_PHENT) != lists.header_bytes()) return;
  memory.Keep(headers, count * lists.header_bytes(), PageKind::kPresent);
  const auto linked = lists.ReadHeaders(headers, count);
  if (!linked.dynamic) return;
  // static-pie has no PT_PHDR
  const std::uint64_t base =
      linked.headers ? headers - *linked.headers : program->begin - program->file_offset - linked.begin;
  std::uint64_t entries = 0;
  bool has_lists = false;
  memory.Keep(base + *linked.dynamic, sizeof(Elf64_Dyn));
  lists.ForEachDynamic(base + *linked.dynamic, [&](const LoaderLists::Dynamic& entry) {
    // A debugger takes the first one.
    if (entry.tag == DT_DEBUG && !std::exchange(has_lists, true)) KeepLists(memory, lists, entry.value);
    if (++entries == kDynamicMax || memory.is_full()) return false;
    memory.Keep(entry.at + entry.bytes, entry.bytes);  // the next one
    return true;
  });
}

void KeepWrittenData(KeptMemory& memory, const CoreNotes& notes, std::uint64_t max) {
  constexpr std::uint64_t kPointersSearched = 256 * 1024;
  const auto mappings = memory.map().mappings();
  const ProcessMapping* main = memory.map().Find(Auxiliary(notes, AT_PHDR));
  const std::string_view program = main != nullptr ? main->path : std::string_view();
  // Data files have no code.
  std::vector<std::string_view> modules;
  for (const ProcessMapping& mapping : mappings)
    if (mapping.is_executable() && !mapping.is_anonymous()) modules.push_back(mapping.path);
  std::ranges::sort(modules);
  std::uint64_t of_program = 0, of_others = 0;  // bytes kept
  const auto keep = [&](std::size_t i) {
    const ProcessMapping& file = mappings[i];
    std::uint64_t& kept = file.path == program ? of_program : of_others;
    if (file.file_offset == 0) memory.Keep(file.begin, 1, PageKind::kPresent);
    const auto keep_of = [&](const ProcessMapping& mapping) {
      const bool is_system = IsOfTheSystem(file.path) || file.path == program;
      if (kept < max) kept += memory.KeepFirst(mapping.begin, mapping.end - mapping.begin, max - kept);
      if (is_system && mapping.is_writable()) KeepWhatItPointsTo(memory, mapping, kPointersSearched);
    };
    if (!file.shared) keep_of(file);
    // What follows it is its .bss.
    const bool has_bss = file.is_writable() && i + 1 < mappings.size() && mappings[i + 1].is_anonymous() &&
                         mappings[i + 1].begin == file.end && mappings[i + 1].is_writable();
    if (has_bss) keep_of(mappings[i + 1]);
  };
  const auto keep_where = [&](auto is_wanted) {
    for (std::size_t i = 0; i < mappings.size(); ++i) {
      const std::string_view path = mappings[i].path;
      if (!path.empty() && is_wanted(path) && std::ranges::binary_search(modules, path)) keep(i);
    }
  };
  keep_where([&](std::string_view path) { return IsOfTheSystem(path); });
  keep_where([&](std::string_view path) { return path == program; });
  keep_where([&](std::string_view path) { return path != program && !IsOfTheSystem(path); });
}

void KeepSmallMappings(KeptMemory& memory, std::uint64_t small, std::uint64_t max) {
  std::uint64_t kept = 0;
  for (const ProcessMapping& mapping : memory.map().mappings())
    if (mapping.is_anonymous() && mapping.is_writable() && mapping.end - mapping.begin <= small && kept < max)
      kept += memory.Keep(mapping.begin, std::min(mapping.end - mapping.begin, max - kept));
}

}  // namespace obit
