#include "arch/architecture.h"

#include <cstring>
#include <vector>

#include <elf.h>
#include <gtest/gtest.h>

namespace obit {
namespace {

std::vector<std::byte> Bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}
std::vector<std::byte> Word(std::uint32_t word) {
  std::vector<std::byte> bytes(sizeof word);
  std::memcpy(bytes.data(), &word, sizeof word);
  return bytes;
}

TEST(Architecture, IsFoundByTheMachineOfAnElfFile) {
  EXPECT_EQ(FindArchitecture(EM_X86_64), &kX86_64);
  EXPECT_EQ(FindArchitecture(EM_AARCH64), &kAarch64);
  EXPECT_EQ(FindArchitecture(EM_386), &kI386);
  EXPECT_EQ(FindArchitecture(EM_RISCV), nullptr);
}

TEST(Architecture, TablesNameRegistersThatAreThere) {
  for (const Architecture* arch : {&kX86_64, &kAarch64}) {
    EXPECT_TRUE(arch->can_unwind());
    EXPECT_LT(arch->sp, arch->register_count);
    EXPECT_LT(arch->pc, arch->register_count);
    for (const auto& one : arch->registers) EXPECT_LT(one.index, arch->register_count) << one.name;
    for (const std::uint8_t index : arch->by_dwarf) EXPECT_LT(index, arch->register_count);
    EXPECT_EQ(arch->by_dwarf[arch->dwarf_sp], arch->sp);
    EXPECT_EQ(arch->by_dwarf[arch->dwarf_pc], arch->pc);
    EXPECT_LE(arch->call_max, Architecture::kCallMax);
  }
  EXPECT_FALSE(kI386.can_unwind());
}

TEST(Architecture, X86KnowsWhatIsCanonical) {
  EXPECT_TRUE(kX86_64.is_canonical(0x7fffffffffff));
  EXPECT_TRUE(kX86_64.is_canonical(0xffffffffff600000));
  EXPECT_FALSE(kX86_64.is_canonical(0x800000000000));
  EXPECT_FALSE(kX86_64.is_canonical(0x4141414141414141));
}

TEST(Architecture, Aarch64IgnoresTagsAndSignatures) {
  EXPECT_TRUE(kAarch64.is_canonical(0xb400ffff12345678)) << "the tag of an allocator";
  EXPECT_FALSE(kAarch64.is_canonical(0x0041414141414141));
  EXPECT_EQ(kAarch64.code_address(0x003baaaad1230abc), 0xaaaad1230abcu);
}

TEST(Architecture, KnowsCallsByTheirBytes) {
  EXPECT_TRUE(kX86_64.ends_with_call(Bytes({0x90, 0x90, 0xe8, 0, 0, 0, 0})));
  EXPECT_TRUE(kX86_64.ends_with_call(Bytes({0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0})));
  EXPECT_FALSE(kX86_64.ends_with_call(Bytes({0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90})));
  EXPECT_FALSE(kX86_64.ends_with_call(Bytes({0xe8, 0, 0, 0, 0}))) << "too few bytes to look at";
  EXPECT_TRUE(kAarch64.ends_with_call(Word(0x94000010)));   // bl
  EXPECT_TRUE(kAarch64.ends_with_call(Word(0xd63f0040)));   // blr x2
  EXPECT_FALSE(kAarch64.ends_with_call(Word(0x14000010)));  // b
  EXPECT_FALSE(kAarch64.ends_with_call(Word(0xd65f03c0)));  // ret
}

TEST(Architecture, KnowsWhereADirectCallLeads) {
  EXPECT_EQ(kX86_64.target_of_call(Bytes({0x90, 0x90, 0xe8, 0xfb, 0xff, 0xff, 0xff}), 0x1000), 0xffbu);
  EXPECT_EQ(kX86_64.target_of_call(Bytes({0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0}), 0x1000), std::nullopt);
  EXPECT_EQ(kAarch64.target_of_call(Word(0x94000010), 0x1004), 0x1040u);
  EXPECT_EQ(kAarch64.target_of_call(Word(0x97ffffff), 0x1004), 0xffcu);
  EXPECT_EQ(kAarch64.target_of_call(Word(0xd63f0040), 0x1004), std::nullopt);
}

}  // namespace
}  // namespace obit
