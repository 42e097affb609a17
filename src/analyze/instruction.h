#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/architecture.h"

namespace obit {

/// One instruction, as far as it tells why it faulted.
struct Instruction {
  std::string text;  ///< as GNU tools write it: "movl $1, 0x18(%rdi)"
  std::size_t size = 0;

  enum class Kind { kOther, kCall, kJump, kReturn, kDivide, kPrivileged };
  Kind kind = Kind::kOther;

  /// An operand in memory. Registers are named by their index in NT_PRSTATUS (Architecture).
  struct MemoryOperand {
    std::optional<std::size_t> base, index, segment_base;
    bool relative_to_pc = false;  ///< of the next instruction
    std::int64_t displacement = 0;
    int scale = 1;
    std::uint32_t size = 0;  ///< bytes
    bool reads = false, writes = false;
    bool of_stack = false;        ///< what push, call, pop, ret touch, without naming it
    std::uint32_t alignment = 0;  ///< bytes: of another address the processor refuses it; 0: of none
    std::string base_name;        ///< "rdi"
  };
  std::vector<MemoryOperand> memory;
  /// Target of an indirect call or jump, or divisor, that stands in a register.
  std::optional<std::size_t> register_operand;
  std::string register_name;

  /// div, idiv. The divisor is register_operand, or else the operand in memory.
  struct Division {
    bool is_signed = false;
    std::uint32_t size = 0;  ///< of the divisor and the quotient, bytes: 1, 2, 4, 8
    bool high_byte = false;  ///< the second lowest byte of the register: ah, bh, ch, dh
  };
  std::optional<Division> division;
};

/// The longest, bytes: of x86-64.
inline constexpr std::size_t kInstructionMax = 15;
/// Decodes the instruction that `bytes` begin with. Nothing: it is none.
[[nodiscard]] std::optional<Instruction> Decode(const Architecture& arch, std::span<const std::byte> bytes,
                                                std::uint64_t address);

/// The address of `operand` with these registers (all that NT_PRSTATUS has); `next` is the address
/// behind the instruction.
[[nodiscard]] std::uint64_t AddressOf(const Instruction::MemoryOperand& operand,
                                      std::span<const std::uint64_t> registers, std::uint64_t next);

}  // namespace obit
