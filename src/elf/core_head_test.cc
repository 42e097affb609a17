#include "elf/core_head.h"

#include <cstring>
#include <random>

#include <elf.h>

#include "base/test_support.h"
#include "elf/core_builder.h"

namespace obit {
namespace {

using testing::BytesOf;
using ::testing::HasSubstr;
using testing::TextOf;

std::vector<std::byte> SmallCore() {
  CoreBuilder builder(EM_X86_64);
  builder.AddNote("CORE", NT_PRSTATUS, BytesOf("status of a thread"));
  builder.AddNote("CORE", NT_AUXV, BytesOf("auxiliary vector"));
  builder.AddSegment(0x1000, PF_R, BytesOf("memory"), 4096);
  builder.AddSegment(0x9000, PF_R | PF_W, BytesOf("more memory"), 4096);
  builder.AddSegment(0xa000, PF_R | PF_W, {}, 4096);
  return builder.Build();
}

CoreHead Fed(std::span<const std::byte> core) {
  CoreHead head;
  head.Feed(core);
  return head;
}

void ExpectSame(const CoreHead& head, const CoreHead& expected) {
  EXPECT_EQ(head.complete(), expected.complete());
  EXPECT_EQ(head.invalid(), expected.invalid());
  EXPECT_EQ(head.core_bytes(), expected.core_bytes());
  EXPECT_EQ(head.elf_class(), expected.elf_class());
  EXPECT_EQ(head.machine(), expected.machine());
  EXPECT_EQ(TextOf(head.notes()), TextOf(expected.notes()));
}

/// A core made by hand: the headers say what the test wants, `size` bytes in all.
template <class Ehdr, class Phdr>
struct RawCore {
  Ehdr header{};
  std::vector<Phdr> segments;
  std::size_t size = 0;

  RawCore() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = sizeof header == sizeof(Elf64_Ehdr) ? ELFCLASS64 : ELFCLASS32;
    header.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_CORE;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Phdr);
    header.e_phnum = 1;
  }
  Phdr& Add(std::uint32_t type, std::uint64_t offset, std::uint64_t file_size) {
    Phdr segment{};
    segment.p_type = type;
    segment.p_offset = static_cast<decltype(segment.p_offset)>(offset);
    segment.p_filesz = static_cast<decltype(segment.p_filesz)>(file_size);
    segments.push_back(segment);
    header.e_phnum = static_cast<Elf64_Half>(segments.size());
    return segments.back();
  }
  [[nodiscard]] std::vector<std::byte> Bytes() const {
    std::vector<std::byte> bytes(std::max(size, sizeof header + segments.size() * sizeof(Phdr)),
                                 std::byte{0xaa});
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!segments.empty())
      std::memcpy(bytes.data() + sizeof header, segments.data(), segments.size() * sizeof(Phdr));
    return bytes;
  }
};
using RawCore64 = RawCore<Elf64_Ehdr, Elf64_Phdr>;
using RawCore32 = RawCore<Elf32_Ehdr, Elf32_Phdr>;

TEST(CoreHead, LearnsWhatTheHeadPromises) {
  const auto core = SmallCore();
  const CoreHead head = Fed(core);
  EXPECT_TRUE(head.complete());
  EXPECT_EQ(head.invalid(), "");
  EXPECT_EQ(head.core_bytes(), core.size());
  EXPECT_EQ(head.elf_class(), ElfClass::k64);
  EXPECT_EQ(head.machine(), EM_X86_64);
  EXPECT_THAT(std::string(TextOf(head.notes())), HasSubstr("auxiliary vector"));
}

TEST(CoreHead, LearnsTheSameByteByByte) {
  const auto core = SmallCore();
  CoreHead head;
  for (const std::byte& byte : core) head.Feed({&byte, 1});
  ExpectSame(head, Fed(core));
}

TEST(CoreHead, LearnsTheSameInAnyPieces) {
  const auto core = SmallCore();
  const CoreHead expected = Fed(core);
  std::mt19937 random(42);
  for (int round = 0; round < 500; ++round) {
    CoreHead head;
    for (std::span<const std::byte> rest = core; !rest.empty();) {
      const std::size_t n = std::min<std::size_t>(rest.size(), random() % 200);  // 0 too
      head.Feed(rest.first(n));
      rest = rest.subspan(n);
    }
    ExpectSame(head, expected);
  }
}

TEST(CoreHead, KnowsAtEveryTruncationHowFarItGot) {
  const auto core = SmallCore();
  Elf64_Phdr notes{};
  std::memcpy(&notes, core.data() + sizeof(Elf64_Ehdr), sizeof notes);
  const std::size_t notes_end = notes.p_offset + notes.p_filesz;
  for (std::size_t n = 0; n <= core.size(); ++n) {
    const CoreHead head = Fed(std::span(core).first(n));
    EXPECT_EQ(head.invalid(), "") << n;
    EXPECT_EQ(head.complete(), n >= notes_end) << n;
    EXPECT_EQ(head.core_bytes().has_value(), n >= notes.p_offset)
        << n;  // the program headers end where notes begin
    EXPECT_EQ(head.notes().size(), n <= notes.p_offset ? 0 : std::min(n, notes_end) - notes.p_offset) << n;
  }
}

TEST(CoreHead, CountsMoreSegmentsThanTheHeaderHolds) {
  CoreBuilder builder(EM_X86_64);
  builder.AddNote("CORE", NT_PRSTATUS, BytesOf("status"));
  for (std::uint64_t i = 0; i < 70'000; ++i)
    builder.AddSegment(i * 4096, PF_R, BytesOf(i < 69'999 ? "" : "last"), 4096);
  const auto core = builder.Build();
  const CoreHead head = Fed(core);
  EXPECT_TRUE(head.complete());
  EXPECT_EQ(head.core_bytes(), core.size());
  EXPECT_THAT(std::string(TextOf(head.notes())), HasSubstr("status"));
  CoreHead in_pieces;
  for (std::span<const std::byte> rest = core; !rest.empty();
       rest = rest.subspan(std::min<std::size_t>(1000, rest.size())))
    in_pieces.Feed(rest.first(std::min<std::size_t>(1000, rest.size())));
  ExpectSame(in_pieces, head);
}

TEST(CoreHead, CountsThoseByWhereTheNotesBeginAndNotByTheSectionHeader) {
  RawCore64 core;
  core.Add(PT_NOTE, sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr), 20);
  core.Add(PT_LOAD, 4096, 100);
  core.Add(PT_LOAD, 4196, 200);
  core.header.e_phnum = PN_XNUM;
  core.size = 4396;
  const CoreHead head = Fed(core.Bytes());
  EXPECT_TRUE(head.complete());
  EXPECT_EQ(head.core_bytes(), 4396u);
  EXPECT_EQ(head.notes().size(), 20u);
}

TEST(CoreHead, ReadsA32BitCore) {
  RawCore32 core;
  core.header.e_machine = EM_386;
  core.size = 4096 + 300;
  core.Add(PT_NOTE, 200, 100);
  core.Add(PT_LOAD, 4096, 300);
  core.Add(PT_LOAD, 4396, 0);
  const CoreHead head = Fed(core.Bytes());
  EXPECT_TRUE(head.complete());
  EXPECT_EQ(head.elf_class(), ElfClass::k32);
  EXPECT_EQ(head.machine(), EM_386);
  EXPECT_EQ(head.core_bytes(), 4396u);
  EXPECT_EQ(head.notes().size(), 100u);
}

TEST(CoreHead, KeepsABoundedPartOfTheNotes) {
  CoreBuilder builder(EM_X86_64);
  const std::vector<std::byte> payload(CoreHead::kNotesKept, std::byte{'n'});
  builder.AddNote("CORE", NT_PRSTATUS, payload);
  builder.AddSegment(0x1000, PF_R, BytesOf("memory"), 4096);
  const auto core = builder.Build();
  const CoreHead head = Fed(core);
  EXPECT_TRUE(head.complete());
  EXPECT_EQ(head.notes().size(), CoreHead::kNotesKept);
  EXPECT_EQ(head.core_bytes(), core.size());
}

TEST(CoreHead, NeedsNoNotes) {
  RawCore64 core;
  core.Add(PT_LOAD, 4096, 10);
  core.size = 4106;
  const CoreHead head = Fed(core.Bytes());
  EXPECT_TRUE(head.complete());
  EXPECT_TRUE(head.notes().empty());
  EXPECT_EQ(head.core_bytes(), 4106u);
}

TEST(CoreHead, TakesEmptyNotesAsNone) {
  RawCore64 core;
  core.Add(PT_NOTE, 4096, 0);
  EXPECT_TRUE(Fed(core.Bytes()).complete());
}

TEST(CoreHead, FindsNotesBehindMemory) {  // as other writers of cores may put them
  RawCore64 core;
  core.Add(PT_LOAD, 4096, 100);
  core.Add(PT_NOTE, 8192, 50);
  core.size = 8242;
  auto bytes = core.Bytes();
  std::memset(bytes.data() + 8192, 'n', 50);
  const CoreHead head = Fed(bytes);
  EXPECT_TRUE(head.complete());
  EXPECT_EQ(TextOf(head.notes()), std::string(50, 'n'));
  EXPECT_EQ(head.core_bytes(), 8242u);
}

TEST(CoreHead, FindsProgramHeadersThatDoNotFollowTheHeader) {
  RawCore64 core;
  core.Add(PT_NOTE, 400, 20);
  auto bytes = core.Bytes();
  bytes.resize(420, std::byte{'n'});
  std::memmove(bytes.data() + 300, bytes.data() + sizeof core.header, sizeof(Elf64_Phdr));
  core.header.e_phoff = 300;
  std::memcpy(bytes.data(), &core.header, sizeof core.header);
  CoreHead byte_by_byte;
  for (const std::byte& byte : bytes) byte_by_byte.Feed({&byte, 1});
  for (const CoreHead& head : {Fed(bytes), byte_by_byte}) {
    EXPECT_TRUE(head.complete());
    EXPECT_EQ(TextOf(head.notes()), std::string(20, 'n'));
  }
}

TEST(CoreHead, CountsTheEndOfSegmentsThatOverlap) {
  RawCore64 core;
  core.Add(PT_NOTE, 300, 10);
  core.Add(PT_LOAD, 4096, 1000);
  core.Add(PT_LOAD, 4096, 10);
  core.size = 5096;
  EXPECT_EQ(Fed(core.Bytes()).core_bytes(), 5096u);
}

TEST(CoreHead, RefusesWhatIsNoCore) {
  const auto why = [](auto change) {
    RawCore64 core;
    core.Add(PT_NOTE, 300, 10);
    change(core.header);
    const CoreHead head = Fed(core.Bytes());
    EXPECT_FALSE(head.complete());
    EXPECT_FALSE(head.core_bytes());
    return head.invalid();
  };
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_ident[0] = 0; }), HasSubstr("not an ELF file"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_ident[EI_DATA] ^= 3; }), HasSubstr("byte order"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_ident[EI_CLASS] = 3; }), HasSubstr("neither"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_type = ET_DYN; }), HasSubstr("not a core"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_phentsize = 0; }), HasSubstr("odd size"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_phentsize = sizeof(Elf32_Phdr); }), HasSubstr("odd size"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_phoff = 0; }), HasSubstr("overlap"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) { h.e_phnum = 0; }), HasSubstr("no program headers"));
  EXPECT_THAT(why([](Elf64_Ehdr& h) {
                h.e_phnum = PN_XNUM;
                h.e_shoff = UINT64_MAX;
              }),
              HasSubstr("section header"));
}

TEST(CoreHead, RefusesSegmentsThatReachPastTheEndOfAllFiles) {
  for (const auto& [offset, size] :
       {std::pair{UINT64_MAX, std::uint64_t{1}}, {std::uint64_t{1}, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}}) {
    RawCore64 core;
    core.Add(PT_LOAD, offset, size);
    EXPECT_THAT(Fed(core.Bytes()).invalid(), HasSubstr("past the end"));
  }
}

TEST(CoreHead, TakesOffsetsUpToTheLast) {
  RawCore64 core;
  core.Add(PT_LOAD, UINT64_MAX, 0);
  core.Add(PT_LOAD, UINT64_MAX - 5, 5);
  EXPECT_EQ(Fed(core.Bytes()).core_bytes(), UINT64_MAX);
}

TEST(CoreHead, WaitsForProgramHeadersThatNeverCome) {
  RawCore64 core;
  core.Add(PT_NOTE, 300, 10);
  core.header.e_phoff = UINT64_MAX;
  core.size = 100'000;
  const CoreHead head = Fed(core.Bytes());
  EXPECT_EQ(head.invalid(), "");
  EXPECT_FALSE(head.complete());
  EXPECT_FALSE(head.core_bytes());
}

TEST(CoreHead, RefusesNotesBeforeTheProgramHeaders) {
  RawCore64 core;
  core.Add(PT_NOTE, 10, 20);
  core.Add(PT_LOAD, 4096, 0);
  EXPECT_THAT(Fed(core.Bytes()).invalid(), HasSubstr("before its program headers"));
  core.header.e_phnum = PN_XNUM;
  EXPECT_THAT(Fed(core.Bytes()).invalid(), HasSubstr("overlap"));
}

TEST(CoreHead, TakesTheFirstNotesOfSeveral) {
  RawCore64 core;
  core.Add(PT_NOTE, 1000, 20);
  core.Add(PT_NOTE, 2000, 40);
  core.size = 2040;
  const CoreHead head = Fed(core.Bytes());
  EXPECT_EQ(head.notes().size(), 20u);
  EXPECT_EQ(head.core_bytes(), 2040u);
}

TEST(CoreHead, StaysRefusedWhateverFollows) {
  CoreHead head = Fed(BytesOf("#!/bin/sh and so on"));
  const std::string why = head.invalid();
  head.Feed(SmallCore());
  EXPECT_EQ(head.invalid(), why);
  EXPECT_FALSE(head.complete());
}

TEST(CoreHead, KnowsHowManyBytesAreItsOwn) {
  CoreBuilder builder(EM_X86_64);
  builder.AddNote("CORE", NT_PRSTATUS, std::vector<std::byte>(336));
  for (std::uint64_t i = 0; i < 20; ++i)
    builder.AddSegment(i << 20, PF_R, std::vector<std::byte>(4096, std::byte{1}), 4096);
  const auto core = builder.Build();
  CoreHead head;
  std::size_t at = 0;
  while (!head.complete()) {
    ASSERT_GT(head.at_least(), 0U) << at;
    const auto n = static_cast<std::size_t>(head.at_least());
    ASSERT_LE(n, core.size() - at);
    head.Feed(std::span(core).subspan(at, n));
    at += n;
  }
  EXPECT_EQ(at, 64 + 21 * sizeof(Elf64_Phdr) + 336 + 20) << "the header, the table and the notes, no padding";
  EXPECT_EQ(head.at_least(), 0U);
}

}  // namespace
}  // namespace obit
