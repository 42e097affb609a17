#include "elf/printable_notes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include <elf.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::uint32_t kFileNote = 0x46494c45;  // NT_FILE, as glibc's <elf.h> has it
constexpr std::size_t kNames = 16 + 80;          // at the end of elf_prpsinfo: pr_fname, pr_psargs
constexpr std::size_t kBlock = 64 << 10;         // bytes that are looked at in one step
struct Elf32 {
  using Header = Elf32_Ehdr;
  using Segment = Elf32_Phdr;
  using Section = Elf32_Shdr;
  using Word = std::uint32_t;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Segment = Elf64_Phdr;
  using Section = Elf64_Shdr;
  using Word = std::uint64_t;
};

/// Steps, one for each structure or block that is read, and bytes of texts: a core that says how many there
/// are may say anything.
constexpr std::uint64_t kStepsMax = 1 << 22, kTextsMax = 256 << 20;

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

bool IsUnprintable(std::string_view character) {
  return character.empty() ||
         (character != std::string_view("\0", 1) && EscapeControls(character) != character);
}

/// True if it had to change `text`.
bool ReplaceUnprintable(std::string& text) {
  bool changed = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= ' ' && byte < 0x7f) {
      ++at;
      continue;
    }
    const std::size_t length = Utf8Length(std::string_view(text).substr(at));
    if (IsUnprintable(std::string_view(text).substr(at, length))) {
      text.replace(at, std::max<std::size_t>(length, 1), std::max<std::size_t>(length, 1), '?');
      changed = true;
    }
    at += std::max<std::size_t>(length, 1);
  }
  return changed;
}

template <class Elf>
class Notes {
 public:
  explicit Notes(const Fd& core) : core_(core) {}

  Result<void> MakePrintable() {
    typename Elf::Header header{};
    if (!OBIT_TRY(Read(0, header)) || header.e_type != ET_CORE ||
        header.e_phentsize != sizeof(typename Elf::Segment))
      return {};
    std::uint64_t count = header.e_phnum;
    typename Elf::Section section{};
    if (count == PN_XNUM && OBIT_TRY(Read(header.e_shoff, section))) count = section.sh_info;
    for (std::uint64_t i = 0; i < count; ++i) {
      typename Elf::Segment segment{};
      if (!OBIT_TRY(Read(header.e_phoff + i * sizeof segment, segment))) return {};
      if (segment.p_type == PT_NOTE)
        OBIT_TRY(InSegment(segment.p_offset, segment.p_filesz, segment.p_align == 8 ? 8 : 4));
    }
    return {};
  }

 private:
  Result<void> Step() {
    if (++steps_ > kStepsMax) return Refuse(EBADMSG, "the notes of the core have no end");
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
    typename Elf::Word count = 0;
    if (type != kFileNote || !OBIT_TRY(Read(begin, count))) return {};
    // count, page size; begin, end and offset of each; then the paths
    const std::uint64_t table =
        sizeof count * (2 + 3 * std::min<std::uint64_t>(count, (end - begin) / sizeof count));
    return InText(std::min(begin + table, end), end);
  }

  Result<void> InText(std::uint64_t begin, std::uint64_t end) {
    while (begin < end) {
      OBIT_TRY(Step());
      std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(end - begin, kBlock)), '\0');
      text.resize(OBIT_TRY(ReadFullAt(core_, std::as_writable_bytes(std::span(text)), begin)));
      if (text.empty()) return {};
      if ((texts_ += text.size()) > kTextsMax) return Refuse(EBADMSG, "the notes of the core have no end");
      // A character that goes on in the next block is looked at there.
      if (begin + text.size() < end && text.size() > 3) text.resize(text.size() - CutCharacter(text));
      if (ReplaceUnprintable(text)) OBIT_TRY(WriteAllAt(core_, std::as_bytes(std::span(text)), begin));
      begin += text.size();
    }
    return {};
  }

  const Fd& core_;
  std::uint64_t steps_ = 0, texts_ = 0;
};

}  // namespace

Result<void> MakeNotesPrintable(const Fd& core) {
  unsigned char begin[EI_NIDENT]{};
  const std::size_t got = OBIT_TRY(ReadFullAt(core, std::as_writable_bytes(std::span(begin)), 0));
  if (got < sizeof begin || std::memcmp(begin, ELFMAG, SELFMAG) != 0) return {};
  return begin[EI_CLASS] == ELFCLASS32 ? Notes<Elf32>(core).MakePrintable()
                                       : Notes<Elf64>(core).MakePrintable();
}

}  // namespace obit
