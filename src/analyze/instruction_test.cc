#include "analyze/instruction.h"

#include <array>

#include <gtest/gtest.h>

namespace obit {
namespace {

std::optional<Instruction> DecodeBytes(std::initializer_list<unsigned> bytes) {
  std::vector<std::byte> raw;
  for (const unsigned byte : bytes) raw.push_back(static_cast<std::byte>(byte));
  return Decode(kX86_64, raw, 0x1000);
}

constexpr std::size_t kRax = 10, kRdi = 14, kRsp = 19;

TEST(Decode, Operands) {
  const auto store = DecodeBytes({0xc7, 0x47, 0x18, 1, 0, 0, 0});
  ASSERT_TRUE(store);
  EXPECT_EQ(store->text, "movl $0x1, 0x18(%rdi)");
  EXPECT_EQ(store->size, 7u);
  ASSERT_EQ(store->memory.size(), 1u);
  EXPECT_TRUE(store->memory[0].writes);
  EXPECT_FALSE(store->memory[0].reads);
  EXPECT_EQ(store->memory[0].base, kRdi);
  EXPECT_EQ(store->memory[0].displacement, 0x18);
  EXPECT_EQ(store->memory[0].size, 4u);
}

TEST(Decode, LeaTouchesNoMemory) { EXPECT_TRUE(DecodeBytes({0x48, 0x8d, 0x47, 0x18})->memory.empty()); }

TEST(Decode, PushesAndCallsWriteBelowTheStackPointer) {
  const auto push = DecodeBytes({0x50});
  ASSERT_EQ(push->memory.size(), 1u);
  EXPECT_EQ(push->memory[0].base, kRsp);
  EXPECT_EQ(push->memory[0].displacement, -8);
  const auto call = DecodeBytes({0xff, 0xd0});
  EXPECT_EQ(call->kind, Instruction::Kind::kCall);
  EXPECT_EQ(call->register_operand, kRax);
  ASSERT_EQ(call->memory.size(), 1u);
  EXPECT_EQ(call->memory[0].displacement, -8);
}

TEST(Decode, Avx512OfTheCLibrary) {
  const auto compare = DecodeBytes({0x62, 0xf3, 0x7d, 0x20, 0x3f, 0x07, 0x00});
  ASSERT_TRUE(compare);
  EXPECT_TRUE(compare->memory.at(0).reads);
}

TEST(Decode, NoInstruction) {
  EXPECT_FALSE(DecodeBytes({0x06}));
  EXPECT_FALSE(DecodeBytes({}));
  EXPECT_FALSE(DecodeBytes({0x48, 0x8b})) << "cut";
}

TEST(AddressOf, AddsAllParts) {
  std::array<std::uint64_t, 27> registers{};
  registers[kRdi] = 0x100;
  registers[kRax] = 3;
  registers[21] = 0x7000;                                      // fs_base
  const auto indexed = DecodeBytes({0x8b, 0x44, 0x87, 0x10});  // mov 0x10(%rdi,%rax,4), %eax
  EXPECT_EQ(AddressOf(indexed->memory.at(0), registers, 0), 0x11cu);
  const auto relative = DecodeBytes({0x8b, 0x05, 0x10, 0, 0, 0});  // mov 0x10(%rip), %eax
  EXPECT_EQ(AddressOf(relative->memory.at(0), registers, 0x1006), 0x1016u);
  const auto local = DecodeBytes({0x64, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0});  // mov %fs:0x28, %eax
  EXPECT_EQ(AddressOf(local->memory.at(0), registers, 0), 0x7028u);
}

}  // namespace
}  // namespace obit
