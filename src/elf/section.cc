#include "elf/section.h"

#include <algorithm>
#include <cstring>
#include <span>

#include <elf.h>
#include <fmt/format.h>

#include "base/byte_reader.h"
#include "base/io.h"

namespace obit {
namespace {

constexpr std::size_t kSectionsMax = 65'536, kNamesMax = 1 << 20, kContentMax = 8192;
constexpr std::uint32_t kPackageNote = 0xcafe1a7e;

std::string ToHex(std::span<const std::byte> bytes) {
  std::string hex;
  for (const std::byte b : bytes) hex += fmt::format("{:02x}", static_cast<unsigned>(b));
  return hex;
}

/// At most `max` bytes of `section`; what the file does not have is not there.
Result<std::vector<std::byte>> ReadContent(const Fd& file, const Elf64_Shdr& section, std::size_t max) {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(section.sh_size, max));
  if (section.sh_type == SHT_NOBITS || section.sh_offset > INT64_MAX - bytes.size())
    return std::vector<std::byte>();
  bytes.resize(OBIT_TRY(ReadFullAt(file, bytes, section.sh_offset)));
  return bytes;
}

void ReadLink(std::span<const std::byte> content, DebugSections& out) {
  ByteReader reader(content);
  const auto name = reader.TakeCString();
  if (!name || name->empty() || name->contains('/') || !reader.AlignTo(4)) return;
  const auto crc = reader.Read<std::uint32_t>();
  if (!crc) return;
  out.link = *name;
  out.link_crc = *crc;
}

void ReadAlternate(std::span<const std::byte> content, DebugSections& out) {
  ByteReader reader(content);
  const auto path = reader.TakeCString();
  if (!path) return;
  out.alternate = *path;
  out.alternate_build_id = ToHex(content.subspan(reader.position()));
}

void ReadPackage(std::span<const std::byte> content, DebugSections& out) {
  ByteReader reader(content);
  const auto header = reader.Read<Elf64_Nhdr>();
  if (!header || header->n_type != kPackageNote) return;
  const auto name = reader.Take(header->n_namesz);
  if (!name || !reader.AlignTo(4)) return;
  const auto text = reader.Take(header->n_descsz);
  if (!text) return;
  const auto* begin = reinterpret_cast<const char*>(text->data());
  out.package.assign(begin, ::strnlen(begin, text->size()));
}

}  // namespace

Result<DebugSections> ReadDebugSections(const Fd& file) {
  Elf64_Ehdr header{};
  if (OBIT_TRY(ReadFullAt(file, std::as_writable_bytes(std::span(&header, 1)), 0)) != sizeof header ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
    return Refuse(EBADMSG, "it is not a 64-bit ELF file");
  DebugSections out;
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shoff > INT64_MAX / 2) return out;
  std::vector<Elf64_Shdr> sections(std::min<std::size_t>(header.e_shnum, kSectionsMax));
  const auto got = OBIT_TRY(ReadFullAt(file, std::as_writable_bytes(std::span(sections)), header.e_shoff));
  sections.resize(got / sizeof(Elf64_Shdr));
  if (header.e_shstrndx >= sections.size()) return out;
  const auto names = OBIT_TRY(ReadContent(file, sections[header.e_shstrndx], kNamesMax));
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_name >= names.size()) continue;
    const auto name = ByteReader(std::span(names).subspan(section.sh_name)).TakeCString();
    if (!name) continue;
    if (*name == ".debug_info" || *name == ".zdebug_info")
      out.has_debug_info |= section.sh_type != SHT_NOBITS;
    if (*name == ".symtab") out.has_symbols |= section.sh_type != SHT_NOBITS;
    if (*name == ".gnu_debuglink") ReadLink(OBIT_TRY(ReadContent(file, section, kContentMax)), out);
    if (*name == ".gnu_debugaltlink") ReadAlternate(OBIT_TRY(ReadContent(file, section, kContentMax)), out);
    if (*name == ".note.package") ReadPackage(OBIT_TRY(ReadContent(file, section, kContentMax)), out);
  }
  return out;
}

}  // namespace obit
