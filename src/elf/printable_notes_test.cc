#include "elf/printable_notes.h"

#include <cstring>

#include <elf.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/test_support.h"
#include "elf/core_builder.h"
#include "elf/core_notes.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

constexpr std::uint32_t kFileNote = 0x46494c45;  // NT_FILE

Fd FileOf(std::span<const std::byte> content) {
  Fd file(::memfd_create("core", MFD_CLOEXEC));
  EXPECT_THAT(WriteAllAt(file, content, 0), Succeeds());
  return file;
}

std::vector<std::byte> ContentOf(const Fd& file) {
  struct stat status{};
  EXPECT_EQ(::fstat(file.get(), &status), 0);
  std::vector<std::byte> content(static_cast<std::size_t>(status.st_size));
  EXPECT_THAT(ReadFullAt(file, content, 0), Succeeds());
  return content;
}

std::vector<std::byte> Core(const std::string& name, const std::string& arguments, const std::string& path) {
  CoreBuilder builder(EM_X86_64);
  elf_prpsinfo process{};
  std::strncpy(process.pr_fname, name.c_str(), sizeof process.pr_fname);
  std::strncpy(process.pr_psargs, arguments.c_str(), sizeof process.pr_psargs);
  builder.AddNote("CORE", NT_PRPSINFO, std::as_bytes(std::span(&process, 1)));
  std::string files;
  for (const std::uint64_t word : {1UL, 4096UL, 0x1b5b1b5b1bUL, 0x7f00000000UL, 7UL})
    files.append(reinterpret_cast<const char*>(&word), sizeof word);
  files += path + '\0';
  builder.AddNote("CORE", kFileNote, std::as_bytes(std::span(files)));
  const std::string memory = "\x1b[2J in memory";
  builder.AddSegment(0x10000, PF_R, std::as_bytes(std::span(memory)), memory.size());
  return builder.Build();
}

TEST(MakeNotesPrintable, ReplacesWhatMovesACursor) {
  const Fd core =
      FileOf(Core("a\x1b[2J\n", "b\x7f \xc2\x9b \xe2\x80\xae \xff \xc3\xa9", "/tmp/\r\xc3\xa9\x07"));
  ASSERT_THAT(MakeNotesPrintable(core), Succeeds());
  EXPECT_EQ(ContentOf(core), Core("a?[2J?", "b? ?? ??? ? \xc3\xa9", "/tmp/?\xc3\xa9?"));
}

TEST(MakeNotesPrintable, KnowsTheNotesOfOtherSystemsThatADebuggerReads) {
  const auto core = [](const char* owner, std::uint32_t type, const std::string& name) {
    CoreBuilder builder(EM_X86_64);
    elf_prpsinfo process{};
    std::strncpy(process.pr_fname, name.c_str(), sizeof process.pr_fname);
    builder.AddNote(owner, type, std::as_bytes(std::span(&process, 1)));
    return builder.Build();
  };
  for (const auto& [owner, type] : {std::pair("CORE", 13U), {"OpenBSD", 10U}, {"CORE and more", 3U}}) {
    const Fd file = FileOf(core(owner, type, "a\x1b[2J"));
    ASSERT_THAT(MakeNotesPrintable(file), Succeeds());
    EXPECT_EQ(ContentOf(file), core(owner, type, "a?[2J")) << owner;
  }
}

TEST(MakeNotesPrintable, LeavesCharactersWholeHoweverLongTheTextIs) {
  for (std::size_t before = (64 << 10) - 3; before <= 64 << 10; ++before) {
    const std::string path = "/" + std::string(before, 'x') + "\xe2\x82\xac\x1b";
    const Fd file = FileOf(Core("a", "b", path));
    ASSERT_THAT(MakeNotesPrintable(file), Succeeds());
    EXPECT_EQ(ContentOf(file), Core("a", "b", path.substr(0, path.size() - 1) + "?")) << before;
  }
}

TEST(MakeNotesPrintable, LeavesAnythingElse) {
  for (const auto& content : {Core("name", "name --option \xc3\xa9", "/usr/bin/name"),
                              std::vector<std::byte>(), std::vector<std::byte>(5000, std::byte{0x1b})}) {
    const Fd core = FileOf(content);
    ASSERT_THAT(MakeNotesPrintable(core), Succeeds());
    EXPECT_EQ(ContentOf(core), content);
  }
}

TEST(MakeNotesPrintable, TakesACoreThatIsCutOrOdd) {
  const auto whole = Core("a\x1b", "b\x1b", "/c\x1b");
  for (std::size_t size = 0; size < 600; ++size)
    EXPECT_THAT(MakeNotesPrintable(FileOf(std::span(whole).first(size))), Succeeds()) << size;
  for (std::size_t at = 0; at < 600; ++at) {
    auto odd = whole;
    std::memset(odd.data() + at, 0xff, std::min<std::size_t>(8, odd.size() - at));
    EXPECT_THAT(MakeNotesPrintable(FileOf(odd)), Succeeds()) << at;
  }
}

TEST(MakeNotesPrintable, GivesUpOnNotesWithoutEnd) {
  auto core = Core("a", "b", "/c");
  Elf64_Phdr notes{};
  std::memcpy(&notes, core.data() + sizeof(Elf64_Ehdr), sizeof notes);
  ASSERT_EQ(notes.p_type, static_cast<Elf64_Word>(PT_NOTE));
  notes.p_offset = core.size();
  notes.p_filesz = 1UL << 40;
  std::memcpy(core.data() + sizeof(Elf64_Ehdr), &notes, sizeof notes);
  const Fd file = FileOf(core);
  ASSERT_EQ(::ftruncate(file.get(), 1L << 41), 0);
  EXPECT_THAT(MakeNotesPrintable(file), FailsWith(EBADMSG));
}

}  // namespace
}  // namespace obit
