#include "capture/minimal_loader.h"

#include <algorithm>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>

#include <elf.h>

namespace obit {
namespace {

constexpr std::uint64_t kHeadersMax = 256, kDynamicMax = 1024;  // entries
constexpr int kNamespacesMax = 16, kLibrariesMax = 4096;
constexpr std::uint64_t kNameMax = 4096, kLinkMap = 1280;  // bytes; struct link_map of glibc 2.36 has 1,160

std::uint64_t Auxiliary(const CoreNotes& notes, std::uint64_t type) {
  const auto found = notes.auxv.find(type);
  return found == notes.auxv.end() ? 0 : found->second;
}

template <class T>
std::optional<T> ReadAs(KeptMemory& memory, std::uint64_t address) {
  T value;
  if (address > UINT64_MAX - sizeof value ||
      !memory.Read(address, std::as_writable_bytes(std::span(&value, 1))))
    return std::nullopt;
  return value;
}

/// The lists from a struct r_debug on.
class LinkMaps {
 public:
  explicit LinkMaps(KeptMemory& memory) : memory_(memory) {}

  void KeepAll(std::uint64_t debug) {
    for (int i = 0; debug != 0 && i < kNamespacesMax && seen_.insert(debug).second; ++i) {
      struct RDebug {
        std::uint64_t version, map, brk, state, base, next;  // link.h
      };
      const auto one = ReadAs<RDebug>(memory_, debug);
      if (!one) return;
      memory_.Keep(debug, sizeof *one);
      KeepList(one->map);
      debug = static_cast<std::uint32_t>(one->version) >= 2 ? one->next : 0;
    }
  }

 private:
  void KeepList(std::uint64_t map) {
    for (; map != 0 && libraries_ < kLibrariesMax && !memory_.is_full() && seen_.insert(map).second;
         ++libraries_) {
      struct LinkMap {
        std::uint64_t address, name, dynamic, next, previous;  // link.h
      };
      const auto one = ReadAs<LinkMap>(memory_, map);
      if (!one) return;
      memory_.Keep(map, kLinkMap);
      memory_.Keep(one->name, memory_.TextLength(one->name, kNameMax) + 1);
      memory_.Keep(one->dynamic, PageBytes());
      map = one->next;
    }
  }

  KeptMemory& memory_;
  int libraries_ = 0;
  std::unordered_set<std::uint64_t> seen_;  // structures: a list may go round
};

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
  std::uint64_t pages = 0;
  for (std::uint64_t at = data.begin; at < data.end && at - data.begin < max && !memory.is_full();
       at += sizeof(std::uint64_t)) {
    if (!memory.Has(at)) {
      at += PageBytes() - at % PageBytes() - sizeof(std::uint64_t);
      continue;
    }
    const auto word = memory.ReadWord(at);
    if (!word || memory.Has(*word)) continue;
    const ProcessMapping* there = memory.map().Find(*word);
    if (there == nullptr || !there->is_anonymous() || !there->is_writable() || there == &data) continue;
    // malloc's lists lead into the heap; what begins a page was mapped for a purpose of its own.
    const bool is_small = there->end - there->begin <= 256 * 1024;
    if (!is_small && *word % PageBytes() != 0) continue;
    memory.Keep(*word, 1);
    if (++pages == kPagesMax) return;
  }
}

}  // namespace

void KeepLoaderLists(KeptMemory& memory, const CoreNotes& notes) {
  const std::uint64_t headers = Auxiliary(notes, AT_PHDR);
  const std::uint64_t count = std::min(Auxiliary(notes, AT_PHNUM), kHeadersMax);
  const ProcessMapping* program = memory.map().Find(headers);
  if (program == nullptr || Auxiliary(notes, AT_PHENT) != sizeof(Elf64_Phdr)) return;
  memory.Keep(headers, count * sizeof(Elf64_Phdr), PageKind::kPresent);
  std::optional<std::uint64_t> base, dynamic;
  std::uint64_t first = 0;  // the address of what the file begins with
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto header = ReadAs<Elf64_Phdr>(memory, headers + i * sizeof(Elf64_Phdr));
    if (!header) break;
    if (header->p_type == PT_PHDR) base = headers - header->p_vaddr;
    if (header->p_type == PT_LOAD && header->p_offset == 0) first = header->p_vaddr;
    if (header->p_type == PT_DYNAMIC) dynamic = header->p_vaddr;
  }
  if (!dynamic) return;
  if (!base) base = program->begin - program->file_offset - first;  // static-pie has no PT_PHDR
  bool has_lists = false;
  for (std::uint64_t i = 0; i < kDynamicMax && !memory.is_full(); ++i) {
    const std::uint64_t at = *base + *dynamic + i * sizeof(Elf64_Dyn);
    memory.Keep(at, sizeof(Elf64_Dyn));
    const auto entry = ReadAs<Elf64_Dyn>(memory, at);
    if (!entry || entry->d_tag == DT_NULL) return;
    // A debugger takes the first one.
    if (entry->d_tag == DT_DEBUG && !std::exchange(has_lists, true))
      LinkMaps(memory).KeepAll(entry->d_un.d_val);
  }
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

void KeepSmallMappings(KeptMemory& memory, std::uint64_t max) {
  constexpr std::uint64_t kSmall = 128 * 1024;
  std::uint64_t kept = 0;
  for (const ProcessMapping& mapping : memory.map().mappings())
    if (mapping.is_anonymous() && mapping.is_writable() && mapping.end - mapping.begin <= kSmall &&
        kept < max)
      kept += memory.Keep(mapping.begin, std::min(mapping.end - mapping.begin, max - kept));
}

}  // namespace obit
