#include "elf/note_keeper.h"

#include <algorithm>

#include <elf.h>

#include "base/test_support.h"
#include "elf/core_builder.h"
#include "elf/core_head.h"
#include "elf/core_notes.h"

namespace obit {
namespace {

constexpr std::size_t kExtended = 2696, kExtendedNote = kExtended + 20, kStatusNote = 336 + 20;

/// The PT_NOTE of a core of so many threads, as the kernel writes it.
std::vector<std::byte> NotesOf(int threads) {
  CoreBuilder builder(EM_X86_64);
  for (int i = 0; i < threads; ++i) {
    std::vector<std::byte> status(336), extended(kExtended, static_cast<std::byte>(i));
    status[32] = static_cast<std::byte>(i + 1);  // pr_pid
    builder.AddNote("CORE", NT_PRSTATUS, status);
    builder.AddNote("LINUX", NT_X86_XSTATE, extended);
  }
  const auto core = builder.Build();
  CoreHead head(NoteKeeper(1 << 20, 1 << 20));
  head.Feed(core);
  return {head.notes().begin(), head.notes().end()};
}

TEST(NoteKeeper, MakesNoRoomForAllThatIsClaimed) {
  const auto notes = NotesOf(2);
  NoteKeeper keeper(1 << 20, 1 << 20);
  keeper.Expect(UINT64_MAX);
  keeper.Feed(notes);
  EXPECT_TRUE(std::ranges::equal(keeper.notes(), notes));
}

TEST(NoteKeeper, KeepsAllWhileThereIsRoom) {
  const auto notes = NotesOf(20);
  ASSERT_EQ(notes.size(), 20 * (kStatusNote + kExtendedNote));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, notes.size()}) {
    NoteKeeper keeper(notes.size(), notes.size());
    for (auto rest = std::span(notes); !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
      keeper.Feed(rest.first(std::min(piece, rest.size())));
    EXPECT_TRUE(std::ranges::equal(keeper.notes(), notes)) << piece;
    EXPECT_FALSE(keeper.left_out());
  }
}

TEST(NoteKeeper, KeepsTheRegistersOfEveryThreadWhereRoomEnds) {
  const auto notes = NotesOf(20);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{100}, notes.size()}) {
    NoteKeeper keeper(3 * (kStatusNote + kExtendedNote), 1 << 20);
    for (auto rest = std::span(notes); !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
      keeper.Feed(rest.first(std::min(piece, rest.size())));
    EXPECT_TRUE(keeper.left_out());
    EXPECT_EQ(keeper.notes().size(), 20 * kStatusNote + 3 * kExtendedNote);
    const CoreNotes read = ParseCoreNotes(keeper.notes(), ElfClass::k64, EM_X86_64);
    ASSERT_EQ(read.threads.size(), 20U);
    EXPECT_EQ(read.threads.back().tid, 20);
  }
}

TEST(NoteKeeper, NeverHoldsMoreThanItMay) {
  const auto notes = NotesOf(20);
  NoteKeeper keeper(1000, 4000);
  keeper.Feed(notes);
  EXPECT_EQ(keeper.notes().size(), 4000 / kStatusNote * kStatusNote);
  EXPECT_TRUE(keeper.left_out());
}

TEST(NoteKeeper, KeepsObitsNoteBehindAnyNumberOfThreads) {
  const std::vector<CoreNotes::Mapping> mappings(1, {0x1000, 0x3000, PF_R});
  auto notes = NotesOf(20);
  AppendMappingsNote(notes, mappings);
  NoteKeeper keeper(kStatusNote, 10 * kStatusNote);
  keeper.Feed(notes);
  EXPECT_EQ(ParseCoreNotes(keeper.notes(), ElfClass::k64, EM_X86_64).mappings, mappings);
  EXPECT_EQ(ParseCoreNotes(keeper.notes(), ElfClass::k64, EM_X86_64).threads.size(), 10U);
}

TEST(NoteKeeper, HoldsABoundedNumberOfObitsNotes) {
  std::vector<std::byte> note;
  AppendMappingsNote(note, std::vector<CoreNotes::Mapping>(1 << 17, {0x1000, 0x3000, PF_R}));
  NoteKeeper keeper(1000, 4000);
  for (int i = 0; i < 10; ++i) keeper.Feed(note);
  EXPECT_EQ(keeper.notes().size(), 5 * note.size());  // 16 MiB
}

TEST(NoteKeeper, ANoteOfAnySizeHasAnEnd) {
  std::vector<std::byte> notes(sizeof(Elf64_Nhdr), std::byte{0xff});  // 4 GiB of name and payload
  notes.resize(100);
  NoteKeeper keeper(1 << 20, 1 << 20);
  keeper.Feed(notes);
  EXPECT_EQ(keeper.notes().size(), 0U);
  EXPECT_TRUE(keeper.left_out());
}

}  // namespace
}  // namespace obit
