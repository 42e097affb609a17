#include "elf/core_layout.h"

#include <algorithm>
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

template <class Shdr>
std::vector<std::byte> CountingSection(std::size_t count) {
  Shdr section{};
  section.sh_size = 1;  // section headers
  section.sh_info = static_cast<Elf64_Word>(count);
  const auto bytes = std::as_bytes(std::span(&section, 1));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

CoreLayout::CoreLayout(ElfClass elf_class, std::uint16_t machine, std::vector<std::byte> notes,
                       std::vector<CoreRun> runs)
    : class_(elf_class), machine_(machine), notes_(std::move(notes)), runs_(std::move(runs)) {
  const bool wide = class_ == ElfClass::k64;
  notes_at_ = (wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)) +
              (runs_.size() + 1) * (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
  const auto has_bytes = [](const CoreRun& run) { return run.file_bytes > 0; };
  memory_at_ = notes_at_ + notes_.size();  // where the core ends that has no memory
  if (std::ranges::any_of(runs_, has_bytes)) memory_at_ = (memory_at_ + kPage - 1) / kPage * kPage;
  memory_end_ = memory_at_;
  offsets_.reserve(runs_.size());
  for (const CoreRun& run : runs_) {
    offsets_.push_back(memory_end_);
    memory_end_ += run.file_bytes;
  }
}

bool CoreLayout::is_extended() const { return runs_.size() + 1 >= PN_XNUM; }

std::size_t CoreLayout::TrailerBytes() const {
  if (!is_extended()) return 0;
  return class_ == ElfClass::k64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

std::vector<std::byte> CoreLayout::Head() const {
  std::vector<std::byte> head = Headers();
  head.reserve(memory_at_);
  head.insert(head.end(), notes_.begin(), notes_.end());
  head.resize(memory_at_);
  return head;
}

std::vector<std::byte> CoreLayout::Headers() const {
  return class_ == ElfClass::k64 ? HeadersOf<Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr>()
                                 : HeadersOf<Elf32_Ehdr, Elf32_Phdr, Elf32_Shdr>();
}

template <class Ehdr, class Phdr, class Shdr>
std::vector<std::byte> CoreLayout::HeadersOf() const {
  Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = class_ == ElfClass::k64 ? ELFCLASS64 : ELFCLASS32;
  header.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = machine_;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Phdr);
  header.e_phnum = static_cast<Elf64_Half>(is_extended() ? PN_XNUM : runs_.size() + 1);
  if (is_extended()) {
    header.e_shoff = static_cast<decltype(header.e_shoff)>(memory_end_);
    header.e_shentsize = sizeof(Shdr);
    header.e_shnum = 1;
  }
  std::vector<std::byte> head;
  head.reserve(notes_at_);
  Append(head, header);
  const auto append = [&](std::uint32_t type, const CoreRun& run, std::uint64_t offset, std::uint64_t align) {
    Phdr program{};
    program.p_type = type;
    program.p_flags = run.flags;
    program.p_offset = static_cast<decltype(program.p_offset)>(offset);
    program.p_vaddr = static_cast<decltype(program.p_vaddr)>(run.address);
    program.p_filesz = static_cast<decltype(program.p_filesz)>(run.file_bytes);
    program.p_memsz = static_cast<decltype(program.p_memsz)>(run.bytes);
    program.p_align = static_cast<decltype(program.p_align)>(align);
    Append(head, program);
  };
  append(PT_NOTE, {.file_bytes = notes_.size()}, notes_at_, 4);
  for (std::size_t i = 0; i < runs_.size(); ++i) append(PT_LOAD, runs_[i], offsets_[i], kPage);
  return head;
}

std::vector<std::byte> CoreLayout::Trailer() const {
  if (!is_extended()) return {};
  return class_ == ElfClass::k64 ? CountingSection<Elf64_Shdr>(runs_.size() + 1)
                                 : CountingSection<Elf32_Shdr>(runs_.size() + 1);
}

}  // namespace obit
