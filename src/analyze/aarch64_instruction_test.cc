#include "analyze/aarch64_instruction.h"

#include <array>
#include <cstring>

#include <gtest/gtest.h>

namespace obit {
namespace {

std::optional<Instruction> DecodeWord(std::uint32_t word) {
  std::array<std::byte, 4> bytes;
  std::memcpy(bytes.data(), &word, sizeof word);
  return Decode(kAarch64, bytes, 0x1000);
}

TEST(DecodeAarch64, Loads) {
  const auto load = DecodeWord(0xf9400c20);
  ASSERT_TRUE(load);
  EXPECT_EQ(load->text, "ldr x0, [x1, #0x18]");
  EXPECT_EQ(load->size, 4u);
  ASSERT_EQ(load->memory.size(), 1u);
  EXPECT_TRUE(load->memory[0].reads);
  EXPECT_FALSE(load->memory[0].writes);
  EXPECT_EQ(load->memory[0].base, 1u);
  EXPECT_EQ(load->memory[0].base_name, "x1");
  EXPECT_EQ(load->memory[0].displacement, 0x18);
  EXPECT_EQ(load->memory[0].size, 8u);
}

TEST(DecodeAarch64, Stores) {
  const auto store = DecodeWord(0xb9000001);  // str w1, [x0]
  ASSERT_TRUE(store);
  ASSERT_EQ(store->memory.size(), 1u);
  EXPECT_TRUE(store->memory[0].writes);
  EXPECT_FALSE(store->memory[0].reads);
  EXPECT_EQ(store->memory[0].base, 0u);
  EXPECT_EQ(store->memory[0].size, 4u);
  const auto pair = DecodeWord(0xa9bf7bfd);  // stp x29, x30, [sp, #-0x10]!
  ASSERT_TRUE(pair);
  ASSERT_EQ(pair->memory.size(), 1u);
  EXPECT_EQ(pair->memory[0].base, 31u);
  EXPECT_EQ(pair->memory[0].displacement, -16);
  EXPECT_EQ(pair->memory[0].size, 16u);
}

TEST(DecodeAarch64, CallsAndReturns) {
  const auto call = DecodeWord(0xd63f0040);  // blr x2
  ASSERT_TRUE(call);
  EXPECT_EQ(call->kind, Instruction::Kind::kCall);
  EXPECT_EQ(call->register_operand, 2u);
  EXPECT_EQ(call->register_name, "x2");
  EXPECT_EQ(DecodeWord(0xd65f03c0)->kind, Instruction::Kind::kReturn);
}

TEST(DecodeAarch64, NothingOfWhatIsNone) {
  EXPECT_FALSE(DecodeWord(0));
  EXPECT_FALSE(DecodeAarch64({}, 0));
}

}  // namespace
}  // namespace obit
