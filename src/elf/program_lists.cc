#include "elf/program_lists.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "base/byte_reader.h"
#include "base/io.h"
#include "elf/elf_types.h"

namespace obit {
namespace {

constexpr std::size_t kSectionsMax = 65'536, kTablesMax = 4, kFoundMax = 16;               // of each
constexpr std::size_t kNamesMax = 1 << 20, kDynamicMax = 1 << 20, kSymbolsMax = 64 << 20;  // bytes

template <class Elf>
class Program {
 public:
  explicit Program(const Fd& file) : file_(file) {}

  Result<ProgramLists> ReadAll() {
    typename Elf::Header header{};
    if (OBIT_TRY(ReadFullAt(file_, std::as_writable_bytes(std::span(&header, 1)), 0)) != sizeof header)
      return ProgramLists();
    found_.entry = header.e_entry;
    if (header.e_shentsize != sizeof(Section) || header.e_shoff > INT64_MAX / 2) return found_;
    sections_.resize(std::min<std::size_t>(header.e_shnum, kSectionsMax));
    const auto got =
        OBIT_TRY(ReadFullAt(file_, std::as_writable_bytes(std::span(sections_)), header.e_shoff));
    sections_.resize(got / sizeof(Section));
    if (header.e_shstrndx >= sections_.size()) return found_;
    const auto names = OBIT_TRY(Content(sections_[header.e_shstrndx], kNamesMax));
    for (const Section& section : sections_)
      if (IsAt(names, section.sh_name, std::string_view(".dynamic\0", 9))) {
        OBIT_TRY(InDynamic(section));
        break;  // gdb looks at no other
      }
    if (!found_.dynamic.empty()) return found_;
    std::size_t tables = 0;
    for (const Section& section : sections_)
      if ((section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM) && tables++ < kTablesMax)
        OBIT_TRY(InSymbols(section));
    return found_;
  }

 private:
  using Section = typename Elf::Section;

  /// What the file does not have is not there.
  Result<std::vector<std::byte>> Content(const Section& section, std::size_t max) {
    std::vector<std::byte> bytes;
    if (section.sh_type == SHT_NOBITS || section.sh_offset > INT64_MAX / 2) return bytes;
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(section.sh_size, max)));
    bytes.resize(OBIT_TRY(ReadFullAt(file_, bytes, section.sh_offset)));
    return bytes;
  }

  /// `text` with its NUL.
  static bool IsAt(std::span<const std::byte> texts, std::uint64_t at, std::string_view text) {
    if (at >= texts.size() || texts.size() - at < text.size()) return false;
    return std::memcmp(texts.data() + at, text.data(), text.size()) == 0;
  }

  Result<void> InDynamic(const Section& section) {
    const auto content = OBIT_TRY(Content(section, kDynamicMax));
    ByteReader reader(content);
    for (std::uint64_t at = section.sh_addr;; at += sizeof(typename Elf::Dynamic)) {
      const auto entry = reader.Read<typename Elf::Dynamic>();
      if (!entry || entry->d_tag == DT_NULL) return {};
      const std::uint64_t tag = static_cast<typename Elf::Word>(entry->d_tag);
      const auto known = [&](const ProgramLists::Dynamic& one) { return one.tag == tag; };
      if (LeadsToLists(tag) && std::ranges::none_of(found_.dynamic, known))
        found_.dynamic.push_back({tag, entry->d_un.d_val, at, at + sizeof entry->d_tag});
    }
  }

  Result<void> InSymbols(const Section& section) {
    if (section.sh_link >= sections_.size()) return {};
    const auto names = OBIT_TRY(Content(sections_[section.sh_link], kSymbolsMax));
    const auto content = OBIT_TRY(Content(section, kSymbolsMax));
    ByteReader reader(content);
    while (const auto symbol = reader.Read<typename Elf::Symbol>())
      if (symbol->st_value != 0 && found_.symbols.size() < kFoundMax &&
          IsAt(names, symbol->st_name, std::string_view("_r_debug\0", 9)))
        found_.symbols.push_back(symbol->st_value);
    return {};
  }

  const Fd& file_;
  std::vector<Section> sections_;
  ProgramLists found_;
};

}  // namespace

Result<std::optional<ElfClass>> ReadElfClass(const Fd& file) {
  unsigned char begin[EI_NIDENT]{};
  const std::size_t got = OBIT_TRY(ReadFullAt(file, std::as_writable_bytes(std::span(begin)), 0));
  if (got < sizeof begin || std::memcmp(begin, ELFMAG, SELFMAG) != 0) return std::nullopt;
  return begin[EI_CLASS] == ELFCLASS32 ? ElfClass::k32 : ElfClass::k64;
}

Result<ProgramLists> ReadProgramLists(const Fd& file) {
  const auto elf_class = OBIT_TRY(ReadElfClass(file));
  if (!elf_class) return ProgramLists();
  return *elf_class == ElfClass::k32 ? Program<Elf32>(file).ReadAll() : Program<Elf64>(file).ReadAll();
}

bool LeadsToLists(std::uint64_t tag) {
  return tag == DT_DEBUG || tag == DT_MIPS_RLD_MAP || tag == DT_MIPS_RLD_MAP_REL;
}

}  // namespace obit
