// gdb reads an image in memory as it reads a file: symbols, and whatever debug information there is. Names
// can come from any section of strings, and in encodings that a demangler undoes. So nothing is replaced in
// it: it is what a vdso looks like, or it is none.

#include "elf/odd_vdso.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/io.h"
#include "elf/elf_types.h"
#include "elf/printable_text.h"

namespace obit {
namespace {

constexpr std::size_t kVdsoMax = 256 << 10;  // bytes
/// Sections that a debugger reads names from, besides those of strings.
constexpr std::string_view kDebugSections[] = {".debug",  ".zdebug", ".gnu_debug", ".stab",
                                               ".mdebug", ".ctf",    ".gdb"};

/// A debugger may make other characters of these: names that are mangled as those of C++ or Rust are, and
/// Ada's characters by their number, as in "U1b". A name may begin anywhere.
bool HasEncodedCharacters(std::string_view names) {
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    const char first = names[i], second = names[i + 1];
    if (first == '_' && (second == 'Z' || second == 'R')) return true;
    if ((first == 'U' || first == 'W') &&
        (second == 'W' || std::isxdigit(static_cast<unsigned char>(second))))
      return true;
  }
  return false;
}

template <class Elf>
class Vdso {
 public:
  explicit Vdso(std::string_view image) : image_(image) {}

  [[nodiscard]] bool IsPlain() {
    typename Elf::Header header{};
    if (!Read(0, header) || header.e_phentsize != sizeof(Segment) || header.e_shentsize != sizeof(Section) ||
        header.e_shoff > kVdsoMax || header.e_phoff > kVdsoMax)
      return false;
    return HasPlainSegments(header) && HasPlainSections(header);
  }

 private:
  using Segment = typename Elf::Segment;
  using Section = typename Elf::Section;

  template <class T>
  [[nodiscard]] bool Read(std::size_t at, T& value) const {
    if (at > image_.size() || image_.size() - at < sizeof value) return false;
    std::memcpy(&value, image_.data() + at, sizeof value);
    return true;
  }

  /// The image in memory is the file.
  [[nodiscard]] bool HasPlainSegments(const typename Elf::Header& header) const {
    std::size_t loads = 0;
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
      Segment segment{};
      if (!Read(header.e_phoff + i * sizeof segment, segment)) return false;
      if (segment.p_type != PT_LOAD) continue;
      ++loads;
      if (segment.p_offset != 0) return false;
    }
    return loads == 1;
  }

  [[nodiscard]] bool HasPlainSections(const typename Elf::Header& header) {
    sections_.resize(header.e_shnum);
    for (std::size_t i = 0; i < sections_.size(); ++i)
      if (!Read(header.e_shoff + i * sizeof(Section), sections_[i])) return false;
    if (!IsOfStrings(header.e_shstrndx)) return false;
    const Section& names = sections_[header.e_shstrndx];
    return std::ranges::all_of(sections_, [&](const Section& section) {
      if (section.sh_name >= names.sh_size) return false;
      return IsPlain(section, Content(names).substr(section.sh_name));
    });
  }

  [[nodiscard]] bool IsPlain(const Section& section, std::string_view name) const {
    const auto begins = [&](std::string_view debug) { return name.starts_with(debug); };
    if (std::ranges::any_of(kDebugSections, begins)) return false;
    switch (section.sh_type) {
      case SHT_SYMTAB:
      case SHT_DYNSYM:
      case SHT_DYNAMIC:
      case SHT_GNU_verdef:
      case SHT_GNU_verneed:
        return IsOfStrings(section.sh_link);
      case SHT_STRTAB:
        return HasPlainStrings(section);
      default:
        return true;
    }
  }

  [[nodiscard]] bool IsOfStrings(std::size_t index) const {
    return index < sections_.size() && sections_[index].sh_type == SHT_STRTAB &&
           HasPlainStrings(sections_[index]);
  }

  [[nodiscard]] std::string_view Content(const Section& section) const {
    return image_.substr(section.sh_offset, section.sh_size);
  }

  [[nodiscard]] bool HasPlainStrings(const Section& section) const {
    if (section.sh_offset > image_.size() || section.sh_size > image_.size() - section.sh_offset)
      return false;
    const std::string_view strings = Content(section);
    return IsPrintable(strings) && !HasEncodedCharacters(strings);
  }

  std::string_view image_;
  std::vector<Section> sections_;
};

bool IsPlainVdso(std::string_view image, ElfClass elf_class) {
  if (image.size() < EI_NIDENT) return false;
  if (image[EI_CLASS] != (elf_class == ElfClass::k64 ? ELFCLASS64 : ELFCLASS32)) return false;
  return elf_class == ElfClass::k64 ? Vdso<Elf64>(image).IsPlain() : Vdso<Elf32>(image).IsPlain();
}

}  // namespace

Result<bool> HideOddVdso(const Fd& core, CoreMemory& memory, const CoreParts& parts) {
  bool changed = false;
  for (const auto& vector : parts.auxiliary)
    for (const CoreParts::Auxiliary& one : vector) {
      if (one.type != AT_SYSINFO_EHDR) continue;
      const std::string image = memory.ReadUpTo(one.value, kVdsoMax);
      OBIT_TRY(memory.Check());
      // Where the core has nothing there, a debugger finds nothing either.
      if (!image.starts_with(std::string_view(ELFMAG, SELFMAG)) || IsPlainVdso(image, parts.elf_class))
        continue;
      constexpr std::uint64_t kIgnore = AT_IGNORE;
      const std::size_t bytes = parts.elf_class == ElfClass::k64 ? sizeof kIgnore : sizeof kIgnore / 2;
      OBIT_TRY(WriteAllAt(core, std::as_bytes(std::span(&kIgnore, 1)).first(bytes), one.offset));
      changed = true;
    }
  return changed;
}

}  // namespace obit
