#include "elf/core_layout.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "base/test_support.h"
#include "elf/core_notes.h"

namespace obit {
namespace {

std::vector<std::byte> Notes(std::string_view text) {
  const auto bytes = testing::BytesOf(text);
  return {bytes.begin(), bytes.end()};
}

/// The head, as a reader of the core learns it.
CoreHead HeadOf(const CoreLayout& layout) {
  CoreHead head(NoteKeeper(1 << 20, 1 << 20));
  head.Feed(layout.Head());
  EXPECT_TRUE(head.complete()) << head.invalid();
  return head;
}

TEST(CoreLayout, IsReadAsItWasWritten) {
  const std::vector<CoreRun> runs{{0x1000, 0x2000, 0x2000, PF_R | PF_X},
                                  {0x5000, 0x3000, 0, PF_R | PF_W},
                                  {0x9000, 0x1000, 0x1000, PF_R}};
  for (const auto& [elf_class, machine] : {std::pair{ElfClass::k64, EM_X86_64}, {ElfClass::k32, EM_386}}) {
    const CoreLayout layout(elf_class, static_cast<std::uint16_t>(machine), Notes("twelve bytes"), runs);
    const CoreHead head = HeadOf(layout);
    EXPECT_EQ(head.elf_class(), elf_class);
    EXPECT_EQ(head.machine(), machine);
    EXPECT_EQ(head.core_bytes(), layout.core_bytes());
    ASSERT_EQ(head.mappings().size(), runs.size());
    for (std::size_t i = 0; i < runs.size(); ++i) {
      EXPECT_EQ(head.mappings()[i].address, runs[i].address);
      EXPECT_EQ(head.mappings()[i].memory_bytes, runs[i].bytes);
      EXPECT_EQ(head.mappings()[i].bytes, runs[i].file_bytes);
      EXPECT_EQ(head.mappings()[i].flags, runs[i].flags);
      EXPECT_EQ(head.mappings()[i].offset, layout.OffsetOf(i));
      EXPECT_EQ(layout.OffsetOf(i) % 4096, 0U);
    }
    EXPECT_EQ(layout.core_bytes(), layout.Head().size() + 0x3000);
    EXPECT_TRUE(layout.Trailer().empty());
    std::vector<std::byte> in_parts = layout.Headers();
    in_parts.insert(in_parts.end(), layout.notes().begin(), layout.notes().end());
    in_parts.resize(in_parts.size() + layout.padding());
    EXPECT_EQ(in_parts, layout.Head());
    EXPECT_EQ(in_parts.size(), layout.head_bytes());
  }
}

TEST(CoreLayout, WithoutMemoryItEndsWithItsNotes) {
  for (const std::vector<CoreRun>& runs : {std::vector<CoreRun>{}, {{0x5000, 0x3000, 0, PF_R | PF_W}}}) {
    const CoreLayout layout(ElfClass::k64, EM_X86_64, Notes("twelve bytes"), runs);
    EXPECT_EQ(HeadOf(layout).core_bytes(), layout.core_bytes());
    EXPECT_EQ(layout.Head().size(), layout.core_bytes());
  }
}

TEST(CoreLayout, CountsManyRunsAtTheEnd) {
  std::vector<CoreRun> runs;
  for (std::uint64_t i = 0; i < 70'000; ++i) runs.push_back({i * 0x2000, 0x1000, 0x1000, PF_R});
  for (const auto elf_class : {ElfClass::k64, ElfClass::k32}) {
    const CoreLayout layout(elf_class, EM_X86_64, Notes("note"), runs);
    const CoreHead head = HeadOf(layout);
    EXPECT_EQ(head.mappings().size(), runs.size());
    EXPECT_EQ(head.core_bytes(), layout.core_bytes());
    EXPECT_EQ(head.trailer(), layout.Trailer());
  }
}

TEST(CoreNotes, HaveTheMappingsOfAMinimalCore) {
  const std::vector<CoreNotes::Mapping> mappings{{0x1000, 0x3000, PF_R}, {0x3000, 0x4000, PF_R | PF_W}};
  std::vector<std::byte> notes;
  AppendMappingsNote(notes, mappings);
  EXPECT_EQ(notes.size(), MappingsNoteBytes(mappings.size()));
  EXPECT_EQ(ParseCoreNotes(notes, ElfClass::k64, EM_X86_64).mappings, mappings);
  EXPECT_EQ(ParseCoreNotes(notes, ElfClass::k32, EM_386).mappings, mappings);
  EXPECT_EQ(ParseCoreNotes({}, ElfClass::k64, EM_X86_64).mappings, std::nullopt);
  // Kept where the notes of most threads are not.
  NoteKeeper keeper(0, 1 << 20);
  keeper.Feed(notes);
  EXPECT_EQ(ParseCoreNotes(keeper.notes(), ElfClass::k64, EM_X86_64).mappings, mappings);
}

TEST(CoreNotes, EndTheMappingsWhereTheyAreOutOfOrder) {
  std::vector<std::byte> notes;
  AppendMappingsNote(notes, std::vector<CoreNotes::Mapping>{{0x1000, 0x3000, PF_R}, {0x2000, 0x4000, PF_R}});
  EXPECT_EQ(ParseCoreNotes(notes, ElfClass::k64, EM_X86_64).mappings->size(), 1U);
  notes.clear();
  AppendMappingsNote(notes, std::vector<CoreNotes::Mapping>{{0x1000, 0x1000, PF_R}});
  EXPECT_EQ(ParseCoreNotes(notes, ElfClass::k64, EM_X86_64).mappings->size(), 0U);
}

}  // namespace
}  // namespace obit
