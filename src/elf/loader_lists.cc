#include "elf/loader_lists.h"

#include <unordered_set>

#include "elf/elf_types.h"

namespace obit {
namespace {

/// More than any program has; memory that reads as such goes on for as long as there is any.
constexpr std::uint64_t kHeadersMax = 4096, kDynamicMax = 65536;

}  // namespace

template <class T>
std::optional<T> LoaderLists::ReadAs(std::uint64_t address) const {
  T value;
  if (address > UINT64_MAX - sizeof value || !read_(address, std::as_writable_bytes(std::span(&value, 1))))
    return std::nullopt;
  return value;
}

std::optional<std::uint64_t> LoaderLists::ReadWord(std::uint64_t address) const {
  if (wide_) return ReadAs<std::uint64_t>(address);
  return ReadAs<std::uint32_t>(address);
}

std::uint64_t LoaderLists::header_bytes() const { return wide_ ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr); }

template <class Elf>
LoaderLists::Headers LoaderLists::ReadHeadersOf(std::uint64_t address, std::uint64_t count) const {
  Headers found;
  for (std::uint64_t i = 0; i < std::min(count, kHeadersMax); ++i) {
    const auto header = ReadAs<typename Elf::Segment>(address + i * sizeof(typename Elf::Segment));
    if (!header) break;
    if (header->p_type == PT_PHDR && !(found.dynamic && found.headers)) found.headers = header->p_vaddr;
    if (header->p_type == PT_LOAD && header->p_offset == 0) found.begin = header->p_vaddr;
    if (header->p_type == PT_DYNAMIC && !found.dynamic) found.dynamic = header->p_vaddr;
  }
  return found;
}

LoaderLists::Headers LoaderLists::ReadHeaders(std::uint64_t address, std::uint64_t count) const {
  return wide_ ? ReadHeadersOf<Elf64>(address, count) : ReadHeadersOf<Elf32>(address, count);
}

template <class Elf>
std::optional<LoaderLists::Dynamic> LoaderLists::ReadDynamic(std::uint64_t address) const {
  const auto entry = ReadAs<typename Elf::Dynamic>(address);
  if (!entry) return std::nullopt;
  return Dynamic{address, sizeof *entry, static_cast<typename Elf::Word>(entry->d_tag), entry->d_un.d_val};
}

void LoaderLists::ForEachDynamic(std::uint64_t address,
                                 const std::function<bool(const Dynamic&)>& visit) const {
  for (std::uint64_t i = 0; i < kDynamicMax; ++i) {
    const auto entry = wide_ ? ReadDynamic<Elf64>(address) : ReadDynamic<Elf32>(address);
    if (!entry || entry->tag == DT_NULL || !visit(*entry)) return;
    address += entry->bytes;
  }
}

template <class Elf>
void LoaderLists::ForEachLibraryOf(std::uint64_t debug, const Visitor& visitor) const {
  using Word = typename Elf::Word;
  struct RDebug {
    Word version, map, brk, state, base, next;  // version: an int; next: since version 2
  };
  struct LinkMap {
    Word address, name, dynamic, next, previous;
  };
  std::unordered_set<std::uint64_t> seen;  // structures: a list may go round
  while (debug != 0 && seen.insert(debug).second) {
    const auto list = ReadAs<RDebug>(debug);
    if (!list || !visitor.list(debug, sizeof *list)) return;
    std::uint64_t before = 0;
    for (std::uint64_t at = list->map; at != 0 && seen.insert(at).second;) {
      const auto one = ReadAs<LinkMap>(at);
      if (!one || !visitor.library({at, one->name, one->dynamic, before, one->previous})) break;
      before = at;
      at = one->next;
    }
    debug = static_cast<std::uint32_t>(list->version) >= 2 ? list->next : 0;
  }
}

void LoaderLists::ForEachLibrary(std::uint64_t debug, const Visitor& visitor) const {
  if (wide_)
    ForEachLibraryOf<Elf64>(debug, visitor);
  else
    ForEachLibraryOf<Elf32>(debug, visitor);
}

}  // namespace obit
