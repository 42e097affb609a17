#include "elf/section.h"

#include <cstring>
#include <string>
#include <vector>

#include <elf.h>
#include <sys/mman.h>

#include "base/io.h"
#include "base/test_support.h"

namespace obit {
namespace {

using testing::BytesOf;
using testing::FailsWith;
using testing::Succeeds;
using namespace std::string_literals;

struct Section {
  std::string name;
  Elf64_Word type;
  std::string content;
};

/// A file of nothing but sections: headers first, then the contents, the names last.
Fd FileWith(const std::vector<Section>& sections, std::size_t size = SIZE_MAX) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_shoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<Elf64_Half>(sections.size() + 1);
  header.e_shstrndx = static_cast<Elf64_Half>(sections.size());
  std::string names, contents;
  std::vector<Elf64_Shdr> headers;
  const std::size_t begin = sizeof header + header.e_shnum * sizeof(Elf64_Shdr);
  for (const Section& section : sections) {
    headers.push_back({.sh_name = static_cast<Elf64_Word>(names.size()),
                       .sh_type = section.type,
                       .sh_offset = begin + contents.size(),
                       .sh_size = section.content.size()});
    names += section.name + '\0';
    contents += section.content;
  }
  const auto own_name = static_cast<Elf64_Word>(names.size());
  names += ".shstrtab"s + '\0';
  headers.push_back({.sh_name = own_name,
                     .sh_type = SHT_STRTAB,
                     .sh_offset = begin + contents.size(),
                     .sh_size = names.size()});
  std::string all(reinterpret_cast<const char*>(&header), sizeof header);
  all.append(reinterpret_cast<const char*>(headers.data()), headers.size() * sizeof(Elf64_Shdr));
  all += contents + names;
  Fd file(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_THAT(WriteAll(file, BytesOf(all.substr(0, size))), Succeeds());
  return file;
}

DebugSections Read(const std::vector<Section>& sections) {
  auto found = ReadDebugSections(FileWith(sections));
  EXPECT_THAT(found, Succeeds());
  return found.value_or(DebugSections{});
}

TEST(ReadDebugSections, FindsAllThatTellWhereDebugInformationIs) {
  const DebugSections found =
      Read({{".gnu_debuglink", SHT_PROGBITS, "x.debug\0\x78\x56\x34\x12"s},
            {".gnu_debugaltlink", SHT_PROGBITS, "/a/b.debug\0\x01\xff"s},
            {".note.package", SHT_NOTE, "\4\0\0\0\2\0\0\0\x7e\x1a\xfe\xca"s + "FDO\0{}"s},
            {".debug_info", SHT_PROGBITS, "x"},
            {".symtab", SHT_SYMTAB, "x"}});
  EXPECT_EQ(found.link, "x.debug");
  EXPECT_EQ(found.link_crc, 0x12345678u);
  EXPECT_EQ(found.alternate, "/a/b.debug");
  EXPECT_EQ(found.alternate_build_id, "01ff");
  EXPECT_EQ(found.package, "{}");
  EXPECT_TRUE(found.has_debug_info);
  EXPECT_TRUE(found.has_symbols);
}

TEST(ReadDebugSections, DebugFilesHaveEmptySections) {
  EXPECT_FALSE(Read({{".debug_info", SHT_NOBITS, ""}}).has_debug_info);
  EXPECT_FALSE(Read({}).has_symbols);
}

TEST(ReadDebugSections, ALinkIsAFileName) {
  EXPECT_EQ(Read({{".gnu_debuglink", SHT_PROGBITS, "../x\0\0\0\0\1\2\3\4"s}}).link, "");
  EXPECT_EQ(Read({{".gnu_debuglink", SHT_PROGBITS, "x.debug"}}).link, "") << "it does not end";
}

TEST(ReadDebugSections, WhatIsCutIsAbsent) {
  const std::vector<Section> sections{{".debug_info", SHT_PROGBITS, "x"}};
  const auto found = ReadDebugSections(FileWith(sections, 100));
  ASSERT_THAT(found, Succeeds());
  EXPECT_FALSE(found->has_debug_info);
}

TEST(ReadDebugSections, RefusesWhatIsNoElfFile) {
  EXPECT_THAT(ReadDebugSections(*Open("/proc/self/maps", O_RDONLY)), FailsWith(EBADMSG));
  EXPECT_THAT(ReadDebugSections(*Open("/dev/null", O_RDONLY)), FailsWith(EBADMSG));
}

}  // namespace
}  // namespace obit
