#include "elf/printable_core.h"

#include <cstring>

#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/test_support.h"
#include "elf/elf_types.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kBase = 0x10000;  // of the memory
constexpr std::uint64_t kDynamic = kBase + 0x200, kDebug = kBase + 0x300, kNames = kBase + 0x800;

Fd FileOf(const Bytes& content) {
  Fd file(::memfd_create("file", MFD_CLOEXEC));
  EXPECT_THAT(WriteAllAt(file, content, 0), Succeeds());
  return file;
}

Bytes ContentOf(const Fd& file) {
  struct stat status{};
  EXPECT_EQ(::fstat(file.get(), &status), 0);
  Bytes content(static_cast<std::size_t>(status.st_size));
  EXPECT_THAT(ReadFullAt(file, content, 0), Succeeds());
  return content;
}

template <class T>
void PutAt(Bytes& bytes, std::uint64_t at, const T& value) {
  if (bytes.size() < at + sizeof value) bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// A core of a process: an auxiliary vector, and memory at kBase with the headers of a program, its dynamic
/// section and one list of libraries.
template <class Elf>
class Process {
 public:
  using Word = typename Elf::Word;

  explicit Process(std::size_t bytes = 0x1000) : memory(bytes) {
    auxiliary = {{AT_PHDR, kBase}, {AT_PHENT, sizeof(typename Elf::Segment)}, {AT_PHNUM, 2}};
    Put(kBase, typename Elf::Segment{.p_type = PT_PHDR, .p_vaddr = 0x40});
    Put(kBase + sizeof(typename Elf::Segment),
        typename Elf::Segment{.p_type = PT_DYNAMIC, .p_vaddr = kDynamic - kBase + 0x40});
    PutDynamic(kDynamic, DT_STRTAB, kBase);
    PutDynamic(kDynamic + sizeof(typename Elf::Dynamic), DT_DEBUG, kDebug);
    PutList(kDebug, 1, At(0));
  }

  /// Where the tests have the library of that number.
  static std::uint64_t At(std::uint64_t i) { return kBase + 0x400 + i * 0x40; }

  template <class T>
  void Put(std::uint64_t address, const T& value) {
    ASSERT_LE(address - kBase + sizeof value, memory.size());
    PutAt(memory, address - kBase, value);
  }
  void PutText(std::uint64_t address, std::string_view text) {
    for (const char c : text) Put(address++, c);
  }
  void PutDynamic(std::uint64_t address, std::uint64_t tag, std::uint64_t value) {
    Put(address, std::array{static_cast<Word>(tag), static_cast<Word>(value)});
  }
  void PutList(std::uint64_t address, std::uint64_t version, std::uint64_t map, std::uint64_t next = 0) {
    Put(address, std::array<Word, 6>{static_cast<Word>(version), static_cast<Word>(map), 0, 0, 0,
                                     static_cast<Word>(next)});
  }
  void PutLibrary(std::uint64_t at, std::uint64_t name, std::uint64_t next, std::uint64_t previous) {
    Put(at, std::array<Word, 5>{0, static_cast<Word>(name), 0, static_cast<Word>(next),
                                static_cast<Word>(previous)});
  }

  [[nodiscard]] Bytes Core() const {
    Bytes core;
    Bytes notes;
    PutAt(notes, 0,
          Elf64_Nhdr{5, static_cast<Elf64_Word>((auxiliary.size() + 1) * 2 * sizeof(Word)), NT_AUXV});
    PutAt(notes, sizeof(Elf64_Nhdr), std::array{'C', 'O', 'R', 'E', '\0', '\0', '\0', '\0'});
    for (const auto& [type, value] : auxiliary)
      PutAt(notes, notes.size(), std::array{static_cast<Word>(type), static_cast<Word>(value)});
    PutAt(notes, notes.size(), std::array<Word, 2>{});
    typename Elf::Header header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = sizeof(Word) == 8 ? ELFCLASS64 : ELFCLASS32;
    header.e_type = ET_CORE;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(typename Elf::Segment);
    header.e_phnum = static_cast<Elf64_Half>(2 + over.size());
    PutAt(core, 0, header);
    std::uint64_t at = sizeof header + header.e_phnum * sizeof(typename Elf::Segment);
    const auto add = [&](std::uint32_t type, std::uint64_t address, const Bytes& content) {
      PutAt(core, core.size(),
            typename Elf::Segment{.p_type = type,
                                  .p_offset = static_cast<Word>(at),
                                  .p_vaddr = static_cast<Word>(address),
                                  .p_filesz = static_cast<Word>(content.size()),
                                  .p_memsz = static_cast<Word>(content.size())});
      at += content.size();
    };
    add(PT_NOTE, 0, notes);
    for (const auto& [address, content] : over) add(PT_LOAD, address, content);
    add(PT_LOAD, kBase, memory);
    core.insert(core.end(), notes.begin(), notes.end());
    for (const auto& [address, content] : over) core.insert(core.end(), content.begin(), content.end());
    core.insert(core.end(), memory.begin(), memory.end());
    return core;
  }

  std::vector<std::pair<std::uint64_t, std::uint64_t>> auxiliary;
  std::vector<std::pair<std::uint64_t, Bytes>> over;  // segments that come before the one of `memory`
  Bytes memory;
};

Bytes Printable(const Bytes& core, const Fd* program = nullptr) {
  const Fd file = FileOf(core);
  EXPECT_THAT(MakeCorePrintable(file, program), Succeeds());
  return ContentOf(file);
}

template <class Elf>
struct PrintableCore : ::testing::Test {
  using P = Process<Elf>;
};
using Classes = ::testing::Types<Elf32, Elf64>;
TYPED_TEST_SUITE(PrintableCore, Classes);

TYPED_TEST(PrintableCore, HasNoNameOfALibraryThatMovesACursor) {
  const auto core = [](const std::string& first, const std::string& second) {
    Process<TypeParam> process;
    process.PutLibrary(process.At(0), kNames, process.At(1), 0);
    process.PutLibrary(process.At(1), kNames + 0x100, process.At(2), process.At(0));
    process.PutLibrary(process.At(2), kNames + 0x200, 0, process.At(1));
    process.PutText(kNames, "/bin/\xc3\xa9");
    process.PutText(kNames + 0x100, first);
    process.PutText(kNames + 0x200, second);
    process.PutText(kNames + 0x300, "\x1b[2J is no name");
    return process.Core();
  };
  EXPECT_EQ(Printable(core("/a\x1b[2J\n\x7f", "\xc2\x9b\xe2\x80\xae\xff\xc3\xa9\x07.so")),
            core("/a?[2J??", "??????\xc3\xa9?.so"));
}

TYPED_TEST(PrintableCore, HasNoSuchNameInAnotherNamespace) {
  const auto core = [](const std::string& name, std::uint64_t version) {
    Process<TypeParam> process;
    process.PutLibrary(process.At(0), kNames, 0, 0);
    process.PutList(kDebug, version, process.At(0), kDebug + 0x80);
    process.PutList(kDebug + 0x80, version, process.At(1), kDebug);  // round and round
    process.PutLibrary(process.At(1), kNames + 0x100, 0, 0);
    process.PutText(kNames + 0x100, name);
    return process.Core();
  };
  EXPECT_EQ(Printable(core("\x1b", 2)), core("?", 2));
  EXPECT_EQ(Printable(core("\x1b", 1)), core("\x1b", 1)) << "the first version has no others";
}

TYPED_TEST(PrintableCore, EndsWhereAListGoesRound) {
  const auto core = [](const std::string& name) {
    Process<TypeParam> process;
    process.PutLibrary(process.At(0), kNames, process.At(1), 0);
    process.PutLibrary(process.At(1), kNames + 0x100, process.At(0), process.At(0));
    process.PutText(kNames + 0x100, name);
    return process.Core();
  };
  EXPECT_EQ(Printable(core("\x1b")), core("?"));
}

TYPED_TEST(PrintableCore, EndsWhereAListLeadsOutOfTheCore) {
  constexpr std::uint64_t kOut = kBase + 0x1000 - 8;  // half in it
  const auto core = [](const std::string& name, std::uint64_t next) {
    Process<TypeParam> process;
    process.PutLibrary(process.At(0), kOut + 0x5000, process.At(1), 0);  // a name that is not in it
    process.PutLibrary(process.At(1), kNames, next, process.At(0));
    process.PutText(kNames, name);
    return process.Core();
  };
  for (const std::uint64_t next : {kOut, kOut + 0x100, UINT64_MAX - 3, UINT64_MAX, std::uint64_t{1}})
    EXPECT_EQ(Printable(core("\x1b", next)), core("?", next)) << next;
  Process<TypeParam> process;
  for (const std::uint64_t out : {kOut, UINT64_MAX - 7, std::uint64_t{1}}) {
    process.PutList(kDebug, 2, out, out);
    EXPECT_EQ(Printable(process.Core()), process.Core());
    process.PutDynamic(kDynamic, DT_DEBUG, out);
    EXPECT_EQ(Printable(process.Core()), process.Core());
    process.auxiliary[0].second = out;
    EXPECT_EQ(Printable(process.Core()), process.Core());
  }
}

TYPED_TEST(PrintableCore, TakesANameWithoutEnd) {
  const auto core = [](char longest, char last) {
    Process<TypeParam> process(0x4000);
    process.PutLibrary(process.At(0), kNames, process.At(1), 0);
    process.PutText(kNames, std::string(4096, longest) + std::string(100, '\x1b'));
    process.PutLibrary(process.At(1), kBase + 0x4000 - 4, 0, process.At(0));
    process.PutText(kBase + 0x4000 - 4, std::string(4, last));
    return process.Core();
  };
  EXPECT_EQ(Printable(core('\x1b', '\x07')), core('?', '?'));
}

TYPED_TEST(PrintableCore, HasAListAsADebuggerTakesIt) {
  Process<TypeParam> process;
  process.PutLibrary(process.At(0), kNames, process.At(1), 0);
  process.PutLibrary(process.At(1), kNames + 0x100, 0, kBase);  // not where it was reached from: overwritten
  process.PutText(kNames + 0x100, "\x1b is what a program had there");
  EXPECT_EQ(Printable(process.Core()), process.Core());
}

TYPED_TEST(PrintableCore, IsFoundByTheEntriesOfAnotherMachine) {
  const auto core = [](std::uint64_t tag, std::uint64_t value, const std::string& name) {
    Process<TypeParam> process;
    process.PutDynamic(kDynamic, tag, value);
    process.PutDynamic(kDynamic + sizeof(typename TypeParam::Dynamic), DT_NULL, 0);
    process.Put(kBase + 0x700, static_cast<typename TypeParam::Word>(kDebug));
    process.PutLibrary(process.At(0), kNames, 0, 0);
    process.PutText(kNames, name);
    return process.Core();
  };
  for (const auto& [tag, value] : {std::pair<std::uint64_t, std::uint64_t>{DT_MIPS_RLD_MAP, kBase + 0x700},
                                   {DT_MIPS_RLD_MAP_REL, kBase + 0x700 - kDynamic},
                                   {DT_DEBUG, kDebug}})
    EXPECT_EQ(Printable(core(tag, value, "\x1b")), core(tag, value, "?")) << tag;
}

TYPED_TEST(PrintableCore, IsReadAgainWhereANameIsAPointerThatHasPassed) {
  const auto core = [](std::uint64_t next, const std::string& name) {
    using Word = typename TypeParam::Word;
    Process<TypeParam> process;
    process.PutLibrary(process.At(0), kNames + 0x100, next, 0);
    process.PutLibrary(process.At(1), process.At(0) + 3 * sizeof(Word), 0, process.At(0));
    process.PutText(kNames, name);
    Bytes another;
    PutAt(another, 0, std::array<Word, 5>{0, kNames, 0, 0, static_cast<Word>(process.At(0))});
    process.over = {{0x3f3f40, another}};
    return process.Core();
  };
  ASSERT_EQ(Process<TypeParam>::At(1), 0x10440U);  // 40 04 01, which is no text
  EXPECT_EQ(Printable(core(0x10440, "\x1b")), core(0x3f3f40, "?"));
}

TYPED_TEST(PrintableCore, IsWhatTheFirstOfItsSegmentsSays) {
  const auto core = [](const std::string& name, const std::string& covered) {
    Process<TypeParam> process;
    process.PutLibrary(process.At(0), kNames, 0, 0);
    process.PutText(kNames, covered);
    Bytes over(4);
    std::memcpy(over.data(), name.data(), name.size());
    process.over = {{kNames, over}};
    return process.Core();
  };
  EXPECT_EQ(Printable(core("\x1b", "\x1b")), core("?", "\x1b"));
  EXPECT_EQ(Printable(core("\x1b\x1b\x1b\x1b", "\x1b\x1b\x1b\x1b\x1b")), core("????", "\x1b\x1b\x1b\x1b?"));
}

TYPED_TEST(PrintableCore, IsRefusedWhereAListHasNoEnd) {
  constexpr std::uint64_t kLibraries = 100'000, kFirst = kBase + 0x1000;
  Process<TypeParam> process(0x1000 + kLibraries * 0x40);
  process.PutList(kDebug, 1, kFirst);
  for (std::uint64_t i = 0; i < kLibraries; ++i)
    process.PutLibrary(kFirst + i * 0x40, kNames, kFirst + (i + 1) * 0x40,
                       i == 0 ? 0 : kFirst + (i - 1) * 0x40);
  EXPECT_THAT(MakeCorePrintable(FileOf(process.Core()), nullptr), FailsWith(EBADMSG));
}

TYPED_TEST(PrintableCore, TakesOneThatIsCutOrOdd) {
  Process<TypeParam> process;
  process.PutLibrary(process.At(0), kNames, process.At(1), 0);
  process.PutLibrary(process.At(1), kNames, 0, process.At(0));
  process.PutText(kNames, "\x1b");
  const Bytes whole = process.Core();
  const auto is_taken = [](const Bytes& core) {
    const Fd file = FileOf(core);
    const auto done = MakeCorePrintable(file, &file);
    return (done || done.error().code == EBADMSG) && ContentOf(file).size() == core.size();
  };
  for (std::size_t size = 0; size < whole.size(); size += 3)
    EXPECT_TRUE(is_taken(Bytes(whole.begin(), whole.begin() + size))) << size;
  for (std::size_t at = 0; at < whole.size(); at += 4) {
    Bytes odd = whole;
    std::memset(odd.data() + at, 0xff, std::min<std::size_t>(8, odd.size() - at));
    EXPECT_TRUE(is_taken(odd)) << at;
  }
}

/// A program's file: a section .dynamic, or a table with one symbol.
template <class Elf>
Bytes Program(std::uint64_t entry, std::uint64_t dynamic, std::uint64_t symbol) {
  using Section = typename Elf::Section;
  Bytes file;
  typename Elf::Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = sizeof(typename Elf::Word) == 8 ? ELFCLASS64 : ELFCLASS32;
  header.e_entry = static_cast<typename Elf::Word>(entry);
  header.e_shoff = 0x100;
  header.e_shentsize = sizeof(Section);
  header.e_shnum = 4;
  header.e_shstrndx = 1;
  PutAt(file, 0, header);
  constexpr std::string_view kTexts("\0.dynamic\0_r_debug\0", 19);
  PutAt(file, 0x100 + sizeof(Section),
        Section{.sh_type = SHT_STRTAB, .sh_offset = 0x300, .sh_size = kTexts.size()});
  if (dynamic != 0)
    PutAt(file, 0x100 + 2 * sizeof(Section),
          Section{.sh_name = 1,
                  .sh_type = SHT_DYNAMIC,
                  .sh_addr = static_cast<typename Elf::Word>(dynamic),
                  .sh_offset = 0x400,
                  .sh_size = 3 * sizeof(typename Elf::Dynamic)});
  if (symbol != 0)
    PutAt(file, 0x100 + 3 * sizeof(Section),
          Section{.sh_type = SHT_SYMTAB,
                  .sh_offset = 0x500,
                  .sh_size = sizeof(typename Elf::Symbol),
                  .sh_link = 1});
  for (std::size_t i = 0; i < kTexts.size(); ++i) PutAt(file, 0x300 + i, kTexts[i]);
  PutAt(file, 0x400, std::array<typename Elf::Word, 2>{DT_NEEDED, 1});
  PutAt(file, 0x400 + sizeof(typename Elf::Dynamic), std::array<typename Elf::Word, 2>{DT_DEBUG, 0});
  PutAt(file, 0x500,
        typename Elf::Symbol{.st_name = 10, .st_value = static_cast<typename Elf::Word>(symbol)});
  file.resize(0x600);
  return file;
}

TYPED_TEST(PrintableCore, IsFoundByTheFileOfTheProgram) {
  constexpr std::uint64_t kMoved = 0x3000, kEntry = 0x5000;
  const auto core = [](const std::string& name, std::uint64_t moved) {
    Process<TypeParam> process;
    process.auxiliary = {{AT_ENTRY, kEntry + moved}};
    process.PutLibrary(process.At(0), kNames, 0, 0);
    process.PutText(kNames, name);
    return process.Core();
  };
  for (const std::uint64_t moved : {std::uint64_t{0}, kMoved}) {
    const Fd by_section = FileOf(Program<TypeParam>(kEntry, kDynamic - moved, 0));
    EXPECT_EQ(Printable(core("\x1b", moved), &by_section), core("?", moved)) << moved;
    const Fd by_symbol = FileOf(Program<TypeParam>(kEntry, 0, kDebug - moved));
    EXPECT_EQ(Printable(core("\x1b", moved), &by_symbol), core("?", moved)) << moved;
    EXPECT_EQ(Printable(core("\x1b", moved)), core("\x1b", moved)) << "nothing leads to it";
  }
}

/// The vdso of this process, from the kernel.
Bytes OwnVdso() {
  const auto* begin = reinterpret_cast<const std::byte*>(::getauxval(AT_SYSINFO_EHDR));
  if (begin == nullptr) return {};
  Elf64_Ehdr header{};
  std::memcpy(&header, begin, sizeof header);
  return {begin, begin + header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr)};
}

Bytes CoreWithVdso(const Bytes& vdso, bool is_hidden) {
  Process<Elf64> process;
  process.auxiliary = {{is_hidden ? AT_IGNORE : AT_SYSINFO_EHDR, kBase}};
  process.memory = vdso;
  return process.Core();
}

Bytes Replaced(Bytes image, std::string_view from, std::string_view to) {
  const std::string_view text(reinterpret_cast<const char*>(image.data()), image.size());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string_view::npos) << from;
  if (at != std::string_view::npos) std::memcpy(image.data() + at, to.data(), to.size());
  return image;
}

TEST(Vdso, StaysIfItIsTheKernels) {
  if (OwnVdso().empty()) GTEST_SKIP() << "there is no vdso";
  EXPECT_EQ(Printable(CoreWithVdso(OwnVdso(), false)), CoreWithVdso(OwnVdso(), false));
}

TEST(Vdso, IsHiddenIfItsNamesAreNotPlain) {
  if (OwnVdso().empty()) GTEST_SKIP() << "there is no vdso";
  for (const auto& [from, to] : {std::pair<std::string_view, std::string_view>{"__vdso_", "__v\x1b[2J"},
                                 {"__vdso_", "__vU1b_"},
                                 {"__vdso_", "__WW000"},
                                 {"__vdso_", "_RNvC1a"},
                                 {".eh_frame", ".debug_in"}}) {
    const Bytes odd = Replaced(OwnVdso(), from, to);
    EXPECT_EQ(Printable(CoreWithVdso(odd, false)), CoreWithVdso(odd, true)) << to;
  }
}

TEST(Vdso, IsHiddenWhereItsStringsAreNotInIt) {
  Bytes cut = OwnVdso();
  if (cut.empty()) GTEST_SKIP() << "there is no vdso";
  cut.resize(cut.size() - 1);
  EXPECT_EQ(Printable(CoreWithVdso(cut, false)), CoreWithVdso(cut, true));
  Bytes elsewhere = OwnVdso();
  Elf64_Ehdr header{};
  std::memcpy(&header, elsewhere.data(), sizeof header);
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const std::uint64_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
    Elf64_Shdr section{};
    std::memcpy(&section, elsewhere.data() + at, sizeof section);
    if (section.sh_type != SHT_STRTAB || i == header.e_shstrndx) continue;
    section.sh_type = SHT_LOUSER;  // gdb takes strings from it as well
    PutAt(elsewhere, at, section);
  }
  EXPECT_EQ(Printable(CoreWithVdso(elsewhere, false)), CoreWithVdso(elsewhere, true));
}

TEST(Vdso, StaysWhereTheCoreHasNone) {
  const Bytes none(4096);
  EXPECT_EQ(Printable(CoreWithVdso(none, false)), CoreWithVdso(none, false));
}

}  // namespace
}  // namespace obit
