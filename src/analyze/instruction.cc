#include "analyze/instruction.h"

#include <algorithm>

#include <capstone/capstone.h>
#include <fmt/format.h>

namespace obit {
namespace {

constexpr std::size_t kLongest = 15;
constexpr std::size_t kFsBase = 21, kGsBase = 22;

/// A register, its lower half (an address may be built of that), and its index in struct user_regs_struct.
struct AddressRegister {
  x86_reg whole, half;
  std::size_t index;
};
constexpr AddressRegister kAddressRegisters[] = {
    {X86_REG_RAX, X86_REG_EAX, 10}, {X86_REG_RBX, X86_REG_EBX, 5},  {X86_REG_RCX, X86_REG_ECX, 11},
    {X86_REG_RDX, X86_REG_EDX, 12}, {X86_REG_RSI, X86_REG_ESI, 13}, {X86_REG_RDI, X86_REG_EDI, 14},
    {X86_REG_RBP, X86_REG_EBP, 4},  {X86_REG_RSP, X86_REG_ESP, 19}, {X86_REG_R8, X86_REG_R8D, 9},
    {X86_REG_R9, X86_REG_R9D, 8},   {X86_REG_R10, X86_REG_R10D, 7}, {X86_REG_R11, X86_REG_R11D, 6},
    {X86_REG_R12, X86_REG_R12D, 3}, {X86_REG_R13, X86_REG_R13D, 2}, {X86_REG_R14, X86_REG_R14D, 1},
    {X86_REG_R15, X86_REG_R15D, 0}};

std::optional<std::size_t> UserIndex(x86_reg wanted) {
  for (const AddressRegister& one : kAddressRegisters)
    if (wanted == one.whole || wanted == one.half) return one.index;
  return std::nullopt;
}

Instruction::MemoryOperand MemoryOf(csh handle, const cs_x86_op& operand) {
  Instruction::MemoryOperand out;
  const x86_op_mem& mem = operand.mem;
  out.base = UserIndex(mem.base);
  out.index = UserIndex(mem.index);
  out.relative_to_pc = mem.base == X86_REG_RIP;
  if (mem.segment == X86_REG_FS) out.segment_base = kFsBase;
  if (mem.segment == X86_REG_GS) out.segment_base = kGsBase;
  out.displacement = mem.disp;
  out.scale = mem.scale;
  out.size = operand.size;
  out.reads = (operand.access & CS_AC_READ) != 0;
  out.writes = (operand.access & CS_AC_WRITE) != 0;
  if (out.base) out.base_name = ::cs_reg_name(handle, mem.base);
  return out;
}

/// What pushes writes below the stack pointer; capstone lists that as no operand.
void AddPush(Instruction& out) {
  out.memory.push_back({.base = UserIndex(X86_REG_RSP), .displacement = -8, .size = 8, .writes = true, .base_name = "rsp"});
}

Instruction::Kind KindOf(csh handle, const cs_insn& insn) {
  switch (insn.id) {
    case X86_INS_UD0:
    case X86_INS_UD2:
    case X86_INS_UD2B:
      return Instruction::Kind::kTrap;
    case X86_INS_INT3:
      return Instruction::Kind::kBreakpoint;
    case X86_INS_DIV:
    case X86_INS_IDIV:
      return Instruction::Kind::kDivide;
    default:
      break;
  }
  if (::cs_insn_group(handle, &insn, CS_GRP_CALL)) return Instruction::Kind::kCall;
  if (::cs_insn_group(handle, &insn, CS_GRP_RET)) return Instruction::Kind::kReturn;
  if (::cs_insn_group(handle, &insn, CS_GRP_JUMP)) return Instruction::Kind::kJump;
  if (::cs_insn_group(handle, &insn, CS_GRP_PRIVILEGE)) return Instruction::Kind::kPrivileged;
  return Instruction::Kind::kOther;
}

}  // namespace

std::optional<Instruction> Decode(std::span<const std::byte> bytes, std::uint64_t address) {
  csh handle = 0;
  if (::cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return std::nullopt;
  ::cs_option(handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
  ::cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
  cs_insn* insn = nullptr;
  const std::size_t count =
      ::cs_disasm(handle, reinterpret_cast<const std::uint8_t*>(bytes.data()), std::min(bytes.size(), kLongest), address,
                  1, &insn);
  std::optional<Instruction> out;
  if (count == 1) {
    out.emplace();
    out->text = insn->op_str[0] == '\0' ? insn->mnemonic : fmt::format("{} {}", insn->mnemonic, insn->op_str);
    out->size = insn->size;
    out->kind = KindOf(handle, *insn);
    for (int i = 0; i < insn->detail->x86.op_count; ++i) {
      const cs_x86_op& operand = insn->detail->x86.operands[i];
      if (operand.type == X86_OP_MEM && insn->id != X86_INS_LEA && insn->id != X86_INS_NOP) {
        out->memory.push_back(MemoryOf(handle, operand));
        // Version 4 does not say it of all: what is called or jumped to is read.
        if (!out->memory.back().reads && !out->memory.back().writes) out->memory.back().reads = true;
      } else if (operand.type == X86_OP_REG && !out->register_operand) {
        out->register_operand = UserIndex(operand.reg);
        if (out->register_operand) out->register_name = ::cs_reg_name(handle, operand.reg);
      }
    }
    if (out->kind == Instruction::Kind::kCall || insn->id == X86_INS_PUSH) AddPush(*out);
    ::cs_free(insn, count);
  }
  ::cs_close(&handle);
  return out;
}

std::uint64_t AddressOf(const Instruction::MemoryOperand& operand, std::span<const std::uint64_t> registers,
                        std::uint64_t next) {
  const auto value = [&](std::optional<std::size_t> index) {
    return index && *index < registers.size() ? registers[*index] : 0;
  };
  return (operand.relative_to_pc ? next : value(operand.base)) + value(operand.segment_base) +
         value(operand.index) * static_cast<std::uint64_t>(operand.scale) +
         static_cast<std::uint64_t>(operand.displacement);
}

}  // namespace obit
