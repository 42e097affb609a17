#include "analyze/expression.h"

#include <dwarf.h>
#include <gtest/gtest.h>

namespace obit {
namespace {

std::optional<Location> Compute(const std::vector<Dwarf_Op>& operations) {
  Registers registers(kX86_64);
  registers.SetSp(1000);
  registers.Set(kX86_64.dwarf_frame, 2000);
  return Evaluate(operations, registers, 5000, [](std::uint64_t address) -> std::optional<std::uint64_t> {
    if (address == 1008) return 77;
    return std::nullopt;
  });
}

Dwarf_Op Op(unsigned atom, std::uint64_t number = 0, std::uint64_t offset = 0) {
  return {.atom = static_cast<std::uint8_t>(atom), .number = number, .number2 = 0, .offset = offset};
}

TEST(Evaluate, RegistersAndOffsets) {
  EXPECT_EQ(Compute({Op(DW_OP_breg7, 16)})->value, 1016u);
  EXPECT_TRUE(Compute({Op(DW_OP_breg7, 16)})->is_address);
  EXPECT_EQ(Compute({Op(DW_OP_breg6, static_cast<std::uint64_t>(-8))})->value, 1992u);
  EXPECT_EQ(Compute({Op(DW_OP_call_frame_cfa), Op(DW_OP_plus_uconst, 8)})->value, 5008u);
}

TEST(Evaluate, AValueIsNoAddress) {
  EXPECT_FALSE(Compute({Op(DW_OP_breg7), Op(DW_OP_stack_value)})->is_address);
  EXPECT_FALSE(Compute({Op(DW_OP_reg6)})->is_address);
}

TEST(Evaluate, ReadsMemory) {
  EXPECT_EQ(Compute({Op(DW_OP_breg7, 8), Op(DW_OP_deref)})->value, 77u);
  EXPECT_FALSE(Compute({Op(DW_OP_breg7, 9), Op(DW_OP_deref)})) << "that memory is not known";
}

/// The rule of a procedure linkage table: ((rip & 15) >= 11) << 3, plus rsp and 8.
TEST(Evaluate, Arithmetic) {
  EXPECT_EQ(Compute({Op(DW_OP_breg7, 8), Op(DW_OP_lit13), Op(DW_OP_lit15), Op(DW_OP_and), Op(DW_OP_lit11),
                     Op(DW_OP_ge), Op(DW_OP_lit3), Op(DW_OP_shl), Op(DW_OP_plus)})
                ->value,
            1016u);
  EXPECT_EQ(Compute({Op(DW_OP_lit1), Op(DW_OP_const1u, 64), Op(DW_OP_shl)})->value, 0u);
  EXPECT_EQ(Compute({Op(DW_OP_lit5), Op(DW_OP_lit7), Op(DW_OP_swap), Op(DW_OP_minus)})->value, 2u);
}

TEST(Evaluate, RefusesWhatItCannotKnow) {
  EXPECT_FALSE(Compute({})) << "nothing";
  EXPECT_FALSE(Compute({Op(DW_OP_breg0)})) << "a register that was not saved";
  EXPECT_FALSE(Compute({Op(DW_OP_bregx, UINT64_MAX)}));
  EXPECT_FALSE(Compute({Op(DW_OP_plus)})) << "an empty stack";
  EXPECT_FALSE(Compute({Op(DW_OP_piece, 8)})) << "an operation of other places";
}

TEST(Evaluate, EndlessLoopsEnd) {
  EXPECT_FALSE(Compute({Op(DW_OP_skip, static_cast<std::uint64_t>(-3), 0)}));
}

TEST(Evaluate, GrowingStacksEnd) {
  EXPECT_FALSE(Compute({Op(DW_OP_lit1, 0, 0), Op(DW_OP_skip, static_cast<std::uint64_t>(-4), 1)}));
}

TEST(Evaluate, Branches) {
  // lit1; bra +1 (over lit2); lit2; lit3
  EXPECT_EQ(
      Compute({Op(DW_OP_lit1, 0, 0), Op(DW_OP_bra, 1, 1), Op(DW_OP_lit2, 0, 4), Op(DW_OP_lit3, 0, 5)})->value,
      3u);
}

}  // namespace
}  // namespace obit
