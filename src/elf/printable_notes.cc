#include "elf/printable_notes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <elf.h>

#include "base/io.h"
#include "elf/elf_types.h"
#include "elf/printable_text.h"

namespace obit {
namespace {

constexpr std::uint32_t kFileNote = 0x46494c45;  // NT_FILE, as glibc's <elf.h> has it
constexpr std::size_t kNames = 16 + 80;          // at the end of elf_prpsinfo: pr_fname, pr_psargs
constexpr std::size_t kBlock = 64 << 10;         // bytes that are looked at in one step

/// Steps, one for each structure or block that is read, and bytes of texts: a core that says how many there
/// are may say anything.
constexpr std::uint64_t kStepsMax = 1 << 22, kTextsMax = 256 << 20;
constexpr std::size_t kPartsMax = 1 << 20, kVectorsMax = 16, kAuxiliaryMax = 4096;

constexpr std::uint32_t kPsinfoNote = 13;  // NT_PSINFO, which gdb reads as NT_PRPSINFO
/// Whose notes are known: of the kernel, and of obit.
constexpr std::string_view kKnownNames[] = {{"CORE\0", 5}, {"LINUX\0", 6}, {"obit\0", 5}};

/// Bytes at the end of `text` that begin a character and do not complete it.
std::size_t CutCharacter(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? back : 0;
  }
  return 0;
}

template <class Elf>
class Notes {
 public:
  Notes(const Fd& core, ElfClass elf_class) : core_(core) { parts_.elf_class = elf_class; }

  Result<std::optional<CoreParts>> MakePrintable() {
    typename Elf::Header header{};
    if (!OBIT_TRY(Read(0, header)) || header.e_type != ET_CORE ||
        header.e_phentsize != sizeof(typename Elf::Segment))
      return std::nullopt;
    std::uint64_t count = header.e_phnum;
    typename Elf::Section section{};
    if (count == PN_XNUM && OBIT_TRY(Read(header.e_shoff, section))) count = section.sh_info;
    for (std::uint64_t i = 0; i < count; ++i) {
      typename Elf::Segment segment{};
      if (!OBIT_TRY(Read(header.e_phoff + i * sizeof segment, segment))) break;
      if (segment.p_type == PT_NOTE)
        OBIT_TRY(InSegment(segment.p_offset, segment.p_filesz, segment.p_align == 8 ? 8 : 4));
      if (segment.p_type == PT_LOAD && segment.p_filesz > 0) {
        if (parts_.memory.size() == kPartsMax) return NoEnd();
        parts_.memory.push_back({segment.p_vaddr, segment.p_offset, segment.p_filesz});
      }
    }
    return std::move(parts_);
  }

 private:
  static std::unexpected<Error> NoEnd() { return Refuse(EBADMSG, "the notes of the core have no end"); }

  Result<void> Step() {
    if (++steps_ > kStepsMax) return NoEnd();
    return {};
  }

  /// False where the file ends before.
  template <class T>
  Result<bool> Read(std::uint64_t offset, T& value) {
    OBIT_TRY(Step());
    if (offset > INT64_MAX - sizeof value) return false;
    const auto bytes = std::as_writable_bytes(std::span(&value, 1));
    return OBIT_TRY(ReadFullAt(core_, bytes, offset)) == sizeof value;
  }

  Result<void> InSegment(std::uint64_t at, std::uint64_t bytes, std::uint64_t unit) {
    if (at > INT64_MAX || bytes > INT64_MAX - at) return {};
    const std::uint64_t end = at + bytes;
    const auto aligned = [unit](std::uint64_t value) { return (value + unit - 1) / unit * unit; };
    Elf64_Nhdr note{};  // the same in both classes
    while (at + sizeof note <= end && OBIT_TRY(Read(at, note))) {
      const std::uint64_t content = at + aligned(sizeof note + note.n_namesz);
      if (content > end || note.n_descsz > end - content) return {};
      if (OBIT_TRY(IsKnown(at + sizeof note, note.n_namesz)))
        OBIT_TRY(InNote(note.n_type, content, content + note.n_descsz));
      else
        OBIT_TRY(InText(content, content + note.n_descsz));  // a debugger may take it for any system's
      at = content + aligned(note.n_descsz);
    }
    return {};
  }

  Result<bool> IsKnown(std::uint64_t at, std::uint64_t bytes) {
    std::array<char, 8> name{};
    if (bytes > name.size() || !OBIT_TRY(Read(at, name))) return false;
    return std::ranges::find(kKnownNames, std::string_view(name.data(), bytes)) != std::end(kKnownNames);
  }

  Result<void> InNote(std::uint32_t type, std::uint64_t begin, std::uint64_t end) {
    if ((type == NT_PRPSINFO || type == kPsinfoNote) && end - begin >= kNames)
      return InText(end - kNames, end);
    if (type == NT_AUXV) return TakeAuxiliary(begin, end);
    typename Elf::Word count = 0;
    if (type != kFileNote || !OBIT_TRY(Read(begin, count))) return {};
    // count, page size; begin, end and offset of each; then the paths
    const std::uint64_t table =
        sizeof count * (2 + 3 * std::min<std::uint64_t>(count, (end - begin) / sizeof count));
    return InText(std::min(begin + table, end), end);
  }

  Result<void> TakeAuxiliary(std::uint64_t at, std::uint64_t end) {
    if (parts_.auxiliary.size() == kVectorsMax) return NoEnd();
    auto& vector = parts_.auxiliary.emplace_back();
    std::array<typename Elf::Word, 2> entry{};
    for (; at + sizeof entry <= end && OBIT_TRY(Read(at, entry)) && entry[0] != AT_NULL; at += sizeof entry) {
      if (vector.size() == kAuxiliaryMax) return NoEnd();
      vector.push_back({entry[0], entry[1], at});
    }
    return {};
  }

  Result<void> InText(std::uint64_t begin, std::uint64_t end) {
    while (begin < end) {
      OBIT_TRY(Step());
      std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(end - begin, kBlock)), '\0');
      text.resize(OBIT_TRY(ReadFullAt(core_, std::as_writable_bytes(std::span(text)), begin)));
      if (text.empty()) return {};
      texts_ += text.size();
      if (texts_ > kTextsMax) return NoEnd();
      // A character that goes on in the next block is looked at there.
      if (begin + text.size() < end && text.size() > 3) text.resize(text.size() - CutCharacter(text));
      if (ReplaceUnprintable(text)) {
        OBIT_TRY(WriteAllAt(core_, std::as_bytes(std::span(text)), begin));
        parts_.changed = true;
      }
      begin += text.size();
    }
    return {};
  }

  const Fd& core_;
  CoreParts parts_;
  std::uint64_t steps_ = 0, texts_ = 0;
};

}  // namespace

Result<std::optional<CoreParts>> MakeNotesPrintable(const Fd& core) {
  unsigned char begin[EI_NIDENT]{};
  const std::size_t got = OBIT_TRY(ReadFullAt(core, std::as_writable_bytes(std::span(begin)), 0));
  if (got < sizeof begin || std::memcmp(begin, ELFMAG, SELFMAG) != 0) return std::nullopt;
  return begin[EI_CLASS] == ELFCLASS32 ? Notes<Elf32>(core, ElfClass::k32).MakePrintable()
                                       : Notes<Elf64>(core, ElfClass::k64).MakePrintable();
}

}  // namespace obit
