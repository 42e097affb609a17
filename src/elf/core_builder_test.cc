#include "elf/core_builder.h"

#include <cstring>

#include <elf.h>

#include "base/test_support.h"

namespace obit {
namespace {

using testing::BytesOf;
using testing::TextOf;

template <class T>
T At(const std::vector<std::byte>& core, std::size_t offset) {
  T value{};
  if (offset + sizeof value <= core.size()) std::memcpy(&value, core.data() + offset, sizeof value);
  return value;
}

TEST(CoreBuilder, LaysACoreOutAsTheKernelDoes) {
  CoreBuilder builder(EM_X86_64);
  builder.AddNote("CORE", NT_PRSTATUS, BytesOf("status"));
  builder.AddSegment(0x1000, PF_R | PF_X, BytesOf("code"), 8192);
  builder.AddSegment(0x7000, PF_R | PF_W, {}, 4096);
  const auto core = builder.Build();

  const auto header = At<Elf64_Ehdr>(core, 0);
  EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
  EXPECT_EQ(header.e_type, ET_CORE);
  EXPECT_EQ(header.e_machine, EM_X86_64);
  EXPECT_EQ(header.e_phoff, sizeof header);
  EXPECT_EQ(header.e_phnum, 3);
  EXPECT_EQ(header.e_shoff, 0u);

  const auto notes = At<Elf64_Phdr>(core, sizeof header);
  EXPECT_EQ(notes.p_type, PT_NOTE);
  EXPECT_EQ(notes.p_offset, sizeof header + 3 * sizeof notes);
  EXPECT_EQ(notes.p_filesz, sizeof(Elf64_Nhdr) + 8 + 8);  // "CORE\0" and "status", each to a multiple of 4

  const auto code = At<Elf64_Phdr>(core, sizeof header + sizeof notes);
  EXPECT_EQ(code.p_type, PT_LOAD);
  EXPECT_EQ(code.p_vaddr, 0x1000u);
  EXPECT_EQ(code.p_flags, PF_R | PF_X);
  EXPECT_EQ(code.p_offset % 4096, 0u);
  EXPECT_EQ(code.p_filesz, 4u);
  EXPECT_EQ(code.p_memsz, 8192u);
  EXPECT_EQ(TextOf(std::span(core).subspan(code.p_offset, 4)), "code");
  EXPECT_EQ(core.size(), code.p_offset + 4);

  const auto data = At<Elf64_Phdr>(core, sizeof header + 2 * sizeof notes);
  EXPECT_EQ(data.p_filesz, 0u);
  EXPECT_EQ(data.p_memsz, 4096u);
}

TEST(CoreBuilder, KeepsTheTrueCountInASectionHeader) {
  const auto count_of = [](std::size_t segments) {
    CoreBuilder builder(EM_X86_64);
    for (std::size_t i = 0; i < segments; ++i) builder.AddSegment(i * 4096, PF_R, {}, 4096);
    const auto core = builder.Build();
    const auto header = At<Elf64_Ehdr>(core, 0);
    if (header.e_phnum != PN_XNUM) return std::size_t{header.e_phnum};
    EXPECT_EQ(header.e_shnum, 1);
    EXPECT_EQ(header.e_shoff + sizeof(Elf64_Shdr), core.size());
    return std::size_t{At<Elf64_Shdr>(core, header.e_shoff).sh_info} + 1'000'000;
  };
  EXPECT_EQ(count_of(PN_XNUM - 2), std::size_t{PN_XNUM - 1});  // one of them is the note
  EXPECT_EQ(count_of(PN_XNUM - 1), PN_XNUM + 1'000'000u);
  EXPECT_EQ(count_of(70'000), 70'001 + 1'000'000u);
}

}  // namespace
}  // namespace obit
