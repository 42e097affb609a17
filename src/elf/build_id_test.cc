#include "elf/build_id.h"

#include <cstdio>
#include <cstring>
#include <memory>

#include <elf.h>
#include <sys/mman.h>

#include "base/io.h"
#include "base/test_support.h"
#include "base/text.h"

namespace obit {
namespace {

using testing::FailsWith;
using testing::Succeeds;

Fd FileOf(std::span<const std::byte> bytes) {
  Fd file(::memfd_create("obit-test", MFD_CLOEXEC));
  EXPECT_THAT(WriteAll(file, bytes), Succeeds());
  return file;
}

template <class T>
void Append(std::vector<std::byte>& out, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// A note with the name "GNU".
std::vector<std::byte> GnuNote(std::uint32_t type, std::string_view payload, std::size_t alignment = 4) {
  std::vector<std::byte> note;
  Append(note, Elf64_Nhdr{4, static_cast<Elf64_Word>(payload.size()), type});
  const auto name = testing::BytesOf(std::string_view("GNU\0", 4));
  note.insert(note.end(), name.begin(), name.end());
  const auto bytes = testing::BytesOf(payload);
  note.insert(note.end(), bytes.begin(), bytes.end());
  note.resize((note.size() + alignment - 1) / alignment * alignment);
  return note;
}

template <class Ehdr, class Phdr>
struct BasicProgram {
  Ehdr header{};
  Phdr segment{};
  std::vector<std::byte> notes;

  explicit BasicProgram(std::vector<std::byte> with) : notes(std::move(with)) {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = sizeof header == sizeof(Elf64_Ehdr) ? ELFCLASS64 : ELFCLASS32;
    header.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    header.e_type = ET_DYN;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof segment;
    header.e_phnum = 1;
    segment.p_type = PT_NOTE;
    segment.p_offset = sizeof header + sizeof segment;
    segment.p_filesz = static_cast<decltype(segment.p_filesz)>(notes.size());
    segment.p_align = 4;
  }
  [[nodiscard]] std::vector<std::byte> Bytes() const {
    std::vector<std::byte> bytes;
    Append(bytes, header);
    Append(bytes, segment);
    bytes.insert(bytes.end(), notes.begin(), notes.end());
    return bytes;
  }
};
using Program = BasicProgram<Elf64_Ehdr, Elf64_Phdr>;

TEST(ReadBuildId, IsTheOneThatReadelfPrints) {
  const auto self = Open("/proc/self/exe", O_RDONLY);
  const auto id = ReadBuildId(*self);
  ASSERT_THAT(id, Succeeds());
  // /proc/self would be that of readelf.
  const std::string command = "readelf -n /proc/" + std::to_string(::getpid()) + "/exe 2>&1";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  ASSERT_TRUE(output);
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), output.get()));
  constexpr std::string_view kLabel = "Build ID: ";
  const std::size_t at = text.find(kLabel);
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_EQ(*id, Trim(text.substr(at + kLabel.size(), text.find('\n', at) - at - kLabel.size())));
}

TEST(ReadBuildId, FindsKnownBytes) {
  const Program program(GnuNote(NT_GNU_BUILD_ID, "\x01\xab\xff"));
  EXPECT_EQ(ReadBuildId(FileOf(program.Bytes())).value(), "01abff");
}

TEST(ReadBuildId, FindsThatOfA32BitProgram) {
  const BasicProgram<Elf32_Ehdr, Elf32_Phdr> program(GnuNote(NT_GNU_BUILD_ID, "\x12\x34\x56\x78"));
  EXPECT_EQ(ReadBuildId(FileOf(program.Bytes())).value(), "12345678");
}

TEST(ReadBuildId, FindsItBehindOtherNotes) {
  auto notes = GnuNote(NT_GNU_ABI_TAG, "abi tag of odd length");
  const auto id = GnuNote(NT_GNU_BUILD_ID, "\xaa\xbb");
  notes.insert(notes.end(), id.begin(), id.end());
  EXPECT_EQ(ReadBuildId(FileOf(Program(notes).Bytes())).value(), "aabb");
}

TEST(ReadBuildId, FindsItAmongNotesWithAnAlignmentOf8) {
  auto notes = GnuNote(NT_GNU_PROPERTY_TYPE_0, "twelve bytes", 8);
  const auto id = GnuNote(NT_GNU_BUILD_ID, "\xaa\xbb", 8);
  notes.insert(notes.end(), id.begin(), id.end());
  Program program(notes);
  program.segment.p_align = 8;
  EXPECT_EQ(ReadBuildId(FileOf(program.Bytes())).value(), "aabb");
}

TEST(ReadBuildId, IsEmptyWithoutOne) {
  EXPECT_EQ(ReadBuildId(FileOf(Program(GnuNote(NT_GNU_ABI_TAG, "tag")).Bytes())).value(), "");
  EXPECT_EQ(ReadBuildId(FileOf(Program({}).Bytes())).value(), "");
  EXPECT_EQ(ReadBuildId(FileOf(Program(GnuNote(NT_GNU_BUILD_ID, "")).Bytes())).value(), "");
  Program other(GnuNote(NT_GNU_BUILD_ID, "id"));
  other.notes[sizeof(Elf64_Nhdr)] = std::byte{'X'};  // the name
  EXPECT_EQ(ReadBuildId(FileOf(other.Bytes())).value(), "");
}

TEST(ReadBuildId, IsEmptyOrAnErrorAtEveryTruncation) {
  const auto whole = Program(GnuNote(NT_GNU_BUILD_ID, "four")).Bytes();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto id = ReadBuildId(FileOf(std::span(whole).first(n)));
    if (n < sizeof(Elf64_Ehdr))
      EXPECT_THAT(id, FailsWith(EBADMSG)) << n;
    else
      EXPECT_EQ(id.value(), "") << n;
  }
}

TEST(ReadBuildId, RefusesWhatIsNoProgramOfThisMachine) {
  EXPECT_THAT(ReadBuildId(FileOf({})), FailsWith(EBADMSG));
  EXPECT_THAT(ReadBuildId(FileOf(testing::BytesOf("#!/bin/sh\necho a script\n"))), FailsWith(EBADMSG));
  const auto changed = [](auto change) {
    Program program(GnuNote(NT_GNU_BUILD_ID, "four"));
    change(program.header);
    return ReadBuildId(FileOf(program.Bytes()));
  };
  EXPECT_THAT(changed([](Elf64_Ehdr& h) { h.e_ident[EI_DATA] ^= 3; }), FailsWith(EBADMSG));
  EXPECT_THAT(changed([](Elf64_Ehdr& h) { h.e_ident[EI_CLASS] = 9; }), FailsWith(EBADMSG));
  EXPECT_THAT(changed([](Elf64_Ehdr& h) { h.e_phentsize = 1; }), FailsWith(EBADMSG));
}

TEST(ReadBuildId, FailsWithTheErrnoOfTheFile) {
  EXPECT_THAT(ReadBuildId(Fd()), FailsWith(EBADF));
  const auto folder = Open("/", O_RDONLY | O_DIRECTORY);
  EXPECT_THAT(ReadBuildId(*folder), FailsWith(EISDIR));
}

TEST(ReadBuildId, SurvivesHugeSizes) {
  const auto changed = [](auto change) {
    Program program(GnuNote(NT_GNU_BUILD_ID, "four"));
    change(program);
    return ReadBuildId(FileOf(program.Bytes()));
  };
  EXPECT_EQ(changed([](auto& p) { p.header.e_phnum = 0xffff; }).value(), "666f7572");
  EXPECT_EQ(changed([](auto& p) { p.segment.p_filesz = UINT64_MAX; }).value(), "666f7572");
  EXPECT_EQ(changed([](auto& p) { p.header.e_phoff = UINT64_MAX; }).value(), "");
  EXPECT_EQ(changed([](auto& p) { p.segment.p_offset = UINT64_MAX - 1; }).value(), "");
  for (const std::size_t word : {0, 1})  // n_namesz, n_descsz
    EXPECT_EQ(changed([&](auto& p) { std::memset(p.notes.data() + word * 4, 0xff, 4); }).value(), "");
}

}  // namespace
}  // namespace obit
