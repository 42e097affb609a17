#include "elf/build_id.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include <elf.h>
#include <fmt/format.h>

#include "base/byte_reader.h"
#include "base/io.h"

namespace obit {
namespace {

constexpr std::size_t kProgramHeadersMax = 512, kNotesMax = 64 * 1024, kBuildIdMax = 64;
constexpr unsigned char kHostData = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

/// What there is of `out` at `offset`. An offset that no file has comes from a hostile header: nothing is
/// there.
Result<std::size_t> ReadThere(const Fd& file, std::span<std::byte> out, std::uint64_t offset) {
  if (offset > INT64_MAX - out.size()) return 0;
  return ReadFullAt(file, out, offset);
}

std::string FindBuildId(std::span<const std::byte> notes, std::size_t alignment) {
  ByteReader reader(notes);
  while (const auto header = reader.Read<Elf64_Nhdr>()) {
    const auto name = reader.Take(header->n_namesz);
    if (!name || !reader.AlignTo(alignment)) return {};
    const auto id = reader.Take(header->n_descsz);
    if (!id) return {};
    if (header->n_type == NT_GNU_BUILD_ID && name->size() == 4 && std::memcmp(name->data(), "GNU", 4) == 0 &&
        id->size() <= kBuildIdMax) {
      std::string hex;
      for (const std::byte b : *id) hex += fmt::format("{:02x}", static_cast<unsigned>(b));
      return hex;
    }
    if (!reader.AlignTo(alignment)) return {};
  }
  return {};
}

template <class Ehdr, class Phdr>
Result<std::string> ReadFrom(const Fd& file) {
  Ehdr header{};
  if (OBIT_TRY(ReadFullAt(file, std::as_writable_bytes(std::span(&header, 1)), 0)) != sizeof header ||
      header.e_phentsize != sizeof(Phdr))
    return Refuse(EBADMSG, "its ELF header is cut or odd");
  std::vector<Phdr> segments(std::min<std::size_t>(header.e_phnum, kProgramHeadersMax));
  const auto got = OBIT_TRY(ReadThere(file, std::as_writable_bytes(std::span(segments)), header.e_phoff));
  segments.resize(got / sizeof(Phdr));
  for (const Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE) continue;
    std::vector<std::byte> notes(std::min<std::uint64_t>(segment.p_filesz, kNotesMax));
    notes.resize(OBIT_TRY(ReadThere(file, notes, segment.p_offset)));
    if (auto id = FindBuildId(notes, segment.p_align == 8 ? 8 : 4); !id.empty()) return id;
  }
  return std::string();
}

}  // namespace

std::string FindBuildIdInHead(std::span<const std::byte> head) {
  const auto header = ByteReader(head).Read<Elf64_Ehdr>();
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr) ||
      header->e_phoff > head.size())
    return {};
  ByteReader segments(head.subspan(header->e_phoff));
  for (std::size_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = segments.Read<Elf64_Phdr>();
    if (!segment) return {};
    if (segment->p_type != PT_NOTE || segment->p_offset > head.size()) continue;
    const auto notes = head.subspan(segment->p_offset);
    if (auto id = FindBuildId(notes.first(std::min<std::uint64_t>(notes.size(), segment->p_filesz)),
                              segment->p_align == 8 ? 8 : 4);
        !id.empty())
      return id;
  }
  return {};
}

Result<std::string> ReadBuildId(const Fd& file) {
  std::array<unsigned char, EI_NIDENT> ident{};
  const auto got = OBIT_TRY(ReadFullAt(file, std::as_writable_bytes(std::span(ident)), 0));
  if (got != ident.size() || std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0)
    return Refuse(EBADMSG, "it is not an ELF file");
  if (ident[EI_DATA] != kHostData) return Refuse(EBADMSG, "it has the byte order of another machine");
  if (ident[EI_CLASS] == ELFCLASS64) return ReadFrom<Elf64_Ehdr, Elf64_Phdr>(file);
  if (ident[EI_CLASS] == ELFCLASS32) return ReadFrom<Elf32_Ehdr, Elf32_Phdr>(file);
  return Refuse(EBADMSG, "it is neither a 32-bit nor a 64-bit ELF file");
}

}  // namespace obit
