#include "elf/core_builder.h"

#include <cstring>

#include <elf.h>

namespace obit {
namespace {

constexpr std::size_t kPage = 4096;  // ELF_EXEC_PAGESIZE on x86; only alignment hangs on it

template <class T>
void Append(std::vector<std::byte>& out, const T& value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

void Align(std::vector<std::byte>& out, std::size_t to) { out.resize((out.size() + to - 1) / to * to); }

}  // namespace

void CoreBuilder::AddNote(std::string_view name, std::uint32_t type, std::span<const std::byte> payload) {
  Append(notes_,
         Elf64_Nhdr{static_cast<Elf64_Word>(name.size() + 1), static_cast<Elf64_Word>(payload.size()), type});
  const auto text = std::as_bytes(std::span(name));
  notes_.insert(notes_.end(), text.begin(), text.end());
  notes_.push_back(std::byte{0});
  Align(notes_, 4);
  notes_.insert(notes_.end(), payload.begin(), payload.end());
  Align(notes_, 4);
}

void CoreBuilder::AddSegment(std::uint64_t address, std::uint32_t flags, std::span<const std::byte> memory,
                             std::uint64_t memory_size) {
  segments_.push_back({address, flags, std::vector(memory.begin(), memory.end()), memory_size});
}

std::vector<std::byte> CoreBuilder::Build() const {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = machine_;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  const std::size_t count = segments_.size() + 1;
  const bool extended = count >= PN_XNUM;
  header.e_phnum = static_cast<Elf64_Half>(extended ? PN_XNUM : count);

  const std::size_t notes_at = sizeof header + count * sizeof(Elf64_Phdr);
  const std::size_t memory_at = (notes_at + notes_.size() + kPage - 1) / kPage * kPage;
  std::vector<std::byte> core;
  std::size_t end = memory_at;
  for (const Segment& segment : segments_) end += segment.memory.size();
  if (extended) {
    header.e_shoff = end;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 1;
  }
  Append(core, header);
  Append(core, Elf64_Phdr{.p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = notes_.size(), .p_align = 4});
  std::size_t at = memory_at;
  for (const Segment& segment : segments_) {
    Append(core, Elf64_Phdr{.p_type = PT_LOAD,
                            .p_flags = segment.flags,
                            .p_offset = at,
                            .p_vaddr = segment.address,
                            .p_filesz = segment.memory.size(),
                            .p_memsz = segment.memory_size,
                            .p_align = kPage});
    at += segment.memory.size();
  }
  core.insert(core.end(), notes_.begin(), notes_.end());
  Align(core, kPage);
  for (const Segment& segment : segments_)
    core.insert(core.end(), segment.memory.begin(), segment.memory.end());
  if (extended) Append(core, Elf64_Shdr{.sh_info = static_cast<Elf64_Word>(count)});
  return core;
}

}  // namespace obit
