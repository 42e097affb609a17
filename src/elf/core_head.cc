#include "elf/core_head.h"

#include <algorithm>
#include <cstring>

#include <elf.h>
#include <fmt/format.h>

namespace obit {
namespace {

template <class T>
T Decode(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// What obit needs of an ELF header, whatever its class.
struct Header {
  std::uint64_t program_headers = 0, section_headers = 0;
  std::uint16_t type = 0, machine = 0, program_header_count = 0, program_header_size = 0;
};
template <class Ehdr>
Header Widen(const Ehdr& h) {
  return {h.e_phoff, h.e_shoff, h.e_type, h.e_machine, h.e_phnum, h.e_phentsize};
}

struct ProgramHeader {
  std::uint32_t type = 0, flags = 0;
  std::uint64_t offset = 0, address = 0, file_size = 0, memory_size = 0;
};
template <class Phdr>
ProgramHeader Widen(const Phdr& p)
  requires requires { p.p_offset; }
{
  return {p.p_type, p.p_flags, p.p_offset, p.p_vaddr, p.p_filesz, p.p_memsz};
}

std::size_t HeaderSize(ElfClass c) { return c == ElfClass::k64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr); }
std::size_t ProgramHeaderSize(ElfClass c) {
  return c == ElfClass::k64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}
std::size_t SectionHeaderSize(ElfClass c) {
  return c == ElfClass::k64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

constexpr unsigned char kHostData = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

}  // namespace

void CoreHead::Reject(std::string why) {
  state_ = State::kInvalid;
  invalid_ = std::move(why);
  gathered_ = {};
}

void CoreHead::Feed(std::span<const std::byte> bytes) {
  while (!bytes.empty() && state_ != State::kComplete && state_ != State::kInvalid) {
    const std::size_t used = Consume(bytes);
    at_ += used;
    bytes = bytes.subspan(used);
  }
}

/// Handles a first part of `bytes` (never empty, never past the current piece of the head); returns its size.
std::size_t CoreHead::Consume(std::span<const std::byte> bytes) {
  const auto gather = [&](std::size_t want) {
    const std::size_t n = std::min(bytes.size(), want - gathered_.size());
    gathered_.insert(gathered_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    return n;
  };
  const auto skip_to = [&](std::uint64_t offset) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), offset - at_));
  };
  switch (state_) {
    case State::kHeader: {
      const std::size_t want = gathered_.size() < EI_NIDENT ? EI_NIDENT : HeaderSize(class_);
      const std::size_t n = gather(want);
      if (gathered_.size() < want) return n;
      if (want == EI_NIDENT) {
        const auto* ident = reinterpret_cast<const unsigned char*>(gathered_.data());
        if (std::memcmp(ident, ELFMAG, SELFMAG) != 0)
          Reject("it is not an ELF file");
        else if (ident[EI_DATA] != kHostData)
          Reject("it has the byte order of another machine");
        else if (ident[EI_CLASS] == ELFCLASS64)
          class_ = ElfClass::k64;
        else if (ident[EI_CLASS] == ELFCLASS32)
          class_ = ElfClass::k32;
        else
          Reject("it is neither a 32-bit nor a 64-bit ELF file");
      } else {
        ReadHeader();
      }
      return n;
    }
    case State::kProgramHeaders: {
      if (at_ < next_program_header_) return skip_to(next_program_header_);
      const std::size_t n = gather(ProgramHeaderSize(class_));
      if (gathered_.size() == ProgramHeaderSize(class_)) ReadProgramHeader();
      return n;
    }
    case State::kNotes: {
      if (at_ < notes_begin_) return skip_to(notes_begin_);
      const std::size_t n = skip_to(notes_end_);
      if (note_keeper_) {
        note_keeper_->Feed(bytes.first(n));
      } else {
        const std::size_t kept = std::min(n, kNotesKept - notes_.size());
        notes_.insert(notes_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(kept));
      }
      if (at_ + n == notes_end_) state_ = State::kComplete;
      return n;
    }
    case State::kComplete:
    case State::kInvalid:
      break;
  }
  return bytes.size();
}

std::uint64_t CoreHead::at_least() const {
  switch (state_) {
    case State::kHeader:
      return (gathered_.size() < EI_NIDENT ? EI_NIDENT : HeaderSize(class_)) - gathered_.size();
    case State::kProgramHeaders:
      return next_program_header_ - std::min(at_, next_program_header_) +
             program_headers_left_ * ProgramHeaderSize(class_) - gathered_.size();
    case State::kNotes:
      return notes_end_ - at_;
    case State::kComplete:
    case State::kInvalid:
      break;
  }
  return 0;
}

void CoreHead::ReadHeader() {
  const Header header =
      class_ == ElfClass::k64 ? Widen(Decode<Elf64_Ehdr>(gathered_)) : Widen(Decode<Elf32_Ehdr>(gathered_));
  gathered_.clear();
  if (header.type != ET_CORE) return Reject("it is an ELF file, but not a core");
  if (header.program_header_size != ProgramHeaderSize(class_))
    return Reject("its program headers have an odd size");
  if (header.program_headers < HeaderSize(class_))
    return Reject("its program headers overlap the ELF header");
  if (header.program_header_count == 0) return Reject("it has no program headers");
  machine_ = header.machine;
  next_program_header_ = header.program_headers;
  program_headers_left_ = header.program_header_count;
  extended_numbering_ = header.program_header_count == PN_XNUM;
  if (extended_numbering_) {
    // The true count stands in a section header at the end of the file; the notes, which follow the table,
    // tell it now.
    program_headers_left_ = 1;
    if (header.section_headers > UINT64_MAX - SectionHeaderSize(class_))
      return Reject("its section header lies nowhere");
    section_headers_end_ = header.section_headers + SectionHeaderSize(class_);
  }
  state_ = State::kProgramHeaders;
}

void CoreHead::ReadProgramHeader() {
  const ProgramHeader header =
      class_ == ElfClass::k64 ? Widen(Decode<Elf64_Phdr>(gathered_)) : Widen(Decode<Elf32_Phdr>(gathered_));
  gathered_.clear();
  if (header.offset > UINT64_MAX - header.file_size)
    return Reject("a segment reaches past the end of all files");
  const std::uint64_t end = header.offset + header.file_size;
  next_program_header_ += ProgramHeaderSize(class_);
  if (header.type == PT_NOTE && notes_end_ == 0) {
    notes_begin_ = header.offset;
    notes_end_ = end;
    if (note_keeper_) note_keeper_->Expect(end - notes_begin_);
    if (extended_numbering_) {
      if (header.offset < next_program_header_) return Reject("its notes overlap its program headers");
      program_headers_left_ += (header.offset - next_program_header_) / ProgramHeaderSize(class_);
    }
  }
  ++program_headers_seen_;
  if (header.type == PT_LOAD && header.file_size != 0) {
    if (segments_.size() < kSegmentsKept)
      segments_.push_back({header.address, header.offset, header.file_size});
    else
      has_all_segments_ = false;
  }
  if (header.type == PT_LOAD && note_keeper_) {
    if (mappings_.size() < kSegmentsKept)
      mappings_.push_back(
          {header.address, header.memory_size, header.offset, header.file_size, header.flags});
    else
      has_all_segments_ = false;
  }
  if (header.file_size != 0) memory_end_ = std::max(memory_end_, end);
  if (--program_headers_left_ == 0) EndProgramHeaders();
}

void CoreHead::EndProgramHeaders() {
  memory_end_ = std::max({memory_end_, next_program_header_, section_headers_end_});
  if (notes_end_ == notes_begin_) {
    state_ = State::kComplete;  // no notes: unusual, but nothing more is to come
  } else if (notes_begin_ < next_program_header_) {
    Reject("its notes lie before its program headers");
  } else {
    state_ = State::kNotes;
  }
}

std::vector<std::byte> CoreHead::trailer() const {
  if (!extended_numbering_) return {};
  const auto fill = [&](auto header) {
    header.sh_size = 1;  // section headers
    header.sh_info = static_cast<std::uint32_t>(program_headers_seen_);
    const auto bytes = std::as_bytes(std::span(&header, 1));
    return std::vector(bytes.begin(), bytes.end());
  };
  return class_ == ElfClass::k64 ? fill(Elf64_Shdr{}) : fill(Elf32_Shdr{});
}

std::optional<std::uint64_t> CoreHead::core_bytes() const {
  if (state_ != State::kNotes && state_ != State::kComplete) return std::nullopt;
  return memory_end_;
}

}  // namespace obit
