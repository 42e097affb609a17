#include "capture/process_map.h"

#include <algorithm>

#include <elf.h>

#include "elf/put_in_order.h"

namespace obit {
namespace {

/// The kernel's own memory has no file, and is no file's.
bool IsFile(const Mapping& mapping) { return mapping.inode != 0; }

}  // namespace

bool ProcessMapping::is_writable() const { return (flags & PF_W) != 0; }
bool ProcessMapping::is_executable() const { return (flags & PF_X) != 0; }

PageKind ProcessMapping::kind() const {
  if (shared) return PageKind::kPresent;
  return is_anonymous() ? PageKind::kFilled : PageKind::kChanged;
}

ProcessMap::ProcessMap(const CoreHead& head, const CoreNotes& notes, const std::vector<Mapping>* maps) {
  mappings_.reserve(head.mappings().size());
  for (const CoreHead::Mapping& one : head.mappings()) {
    if (one.memory_bytes == 0 || one.address > UINT64_MAX - one.memory_bytes) continue;
    mappings_.push_back({.begin = one.address,
                         .end = one.address + one.memory_bytes,
                         .flags = one.flags & (PF_R | PF_W | PF_X),
                         .core_offset = one.offset,
                         .core_bytes = std::min(one.bytes, one.memory_bytes)});
  }
  PutInOrder(mappings_);
  auto file = notes.files.begin();
  for (ProcessMapping& mapping : mappings_) {
    while (file != notes.files.end() && file->end <= mapping.begin) ++file;
    if (file != notes.files.end() && file->begin <= mapping.begin) {
      mapping.path = std::string_view(file->path).substr(0, kPathMax);
      mapping.file_offset = file->offset + (mapping.begin - file->begin);
    }
    const Mapping* now = maps != nullptr ? FindMapping(*maps, mapping.begin) : nullptr;
    if (now == nullptr) continue;
    mapping.shared = now->shared;
    mapping.may_be_vdso = !IsFile(*now) && now->name == "[vdso]";
    // A process of many files has no note of them (fill_files_note() of fs/binfmt_elf.c: 4 MiB).
    if (mapping.path.empty() && IsFile(*now)) {
      mapping.path = now->name.empty() ? std::string_view("?") : *names_.insert(now->name).first;
      mapping.file_offset = now->offset + (mapping.begin - now->begin);
    }
  }
}

const ProcessMapping* ProcessMap::Find(std::uint64_t address) const {
  // Most words are no addresses.
  if (mappings_.empty() || address < mappings_.front().begin || address >= mappings_.back().end)
    return nullptr;
  auto after = std::ranges::upper_bound(mappings_, address, {}, &ProcessMapping::begin);
  if (after == mappings_.begin() || address >= (--after)->end) return nullptr;
  return &*after;
}

const ProcessMapping* ProcessMap::FindWritable(std::uint64_t address, std::uint64_t reach) const {
  auto next = std::ranges::upper_bound(mappings_, address, {}, &ProcessMapping::end);
  for (; next != mappings_.end() && (next->begin <= address || next->begin - address <= reach); ++next)
    if (next->is_writable()) return &*next;
  return nullptr;
}

}  // namespace obit
