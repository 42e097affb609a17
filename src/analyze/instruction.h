#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace obit {

/// One x86-64 instruction, as far as it tells why it faulted.
struct Instruction {
  std::string text;  ///< AT&T syntax: "movl $1, 0x18(%rdi)"
  std::size_t size = 0;

  enum class Kind { kOther, kCall, kJump, kReturn, kDivide, kPrivileged };
  Kind kind = Kind::kOther;

  /// An operand in memory. Registers are named by index in struct user_regs_struct (sys/user.h).
  struct MemoryOperand {
    std::optional<std::size_t> base, index, segment_base;
    bool relative_to_pc = false;  ///< of the next instruction
    std::int64_t displacement = 0;
    int scale = 1;
    std::uint32_t size = 0;  ///< bytes
    bool reads = false, writes = false;
    std::string base_name;  ///< "rdi"
  };
  std::vector<MemoryOperand> memory;
  /// Target of an indirect call or jump, or divisor, that stands in a register.
  std::optional<std::size_t> register_operand;
  std::string register_name;
};

/// Decodes the instruction that `bytes` (up to 15 are looked at) begin with. Nothing: it is none.
[[nodiscard]] std::optional<Instruction> Decode(std::span<const std::byte> bytes, std::uint64_t address);

/// The address of `operand` with these registers (a whole struct user_regs_struct); `next` is the address
/// behind the instruction.
[[nodiscard]] std::uint64_t AddressOf(const Instruction::MemoryOperand& operand,
                                      std::span<const std::uint64_t> registers, std::uint64_t next);

}  // namespace obit
