#include "analyze/instruction.h"

#include <algorithm>
#include <array>

#include <Zydis/Zydis.h>
#include <elf.h>

#include "analyze/aarch64_instruction.h"

namespace obit {
namespace {

constexpr std::size_t kFsBase = 21, kGsBase = 22;  // indexes in struct user_regs_struct

/// A general register, from Zydis' number of the 64-bit one on, to its index in struct user_regs_struct. A
/// part of a register counts too, since an address may be built of that.
std::optional<std::size_t> UserIndex(ZydisRegister reg) {
  // rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15
  constexpr std::size_t kIndex[] = {10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0};
  const ZydisRegister whole = ::ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
  if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15) return std::nullopt;
  return kIndex[whole - ZYDIS_REGISTER_RAX];
}

std::string NameOf(ZydisRegister reg) {
  const char* name = ::ZydisRegisterGetString(reg);
  return name == nullptr ? "" : name;
}

/// Bytes of which the address of this operand has to be a multiple (Intel SDM, volume 2, 2.4: exceptions of
/// type 1, and of instructions without VEX of type 2 and 4).
std::uint32_t AlignmentOf(const ZydisDecodedInstruction& instruction, std::uint32_t size) {
  switch (instruction.mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM:
      return 0;
    case ZYDIS_MNEMONIC_CMPXCHG16B:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
      return 16;
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
      return 64;
    default:
      break;
  }
  switch (instruction.meta.exception_class) {
    case ZYDIS_EXCEPTION_CLASS_SSE1:
    case ZYDIS_EXCEPTION_CLASS_SSE2:
    case ZYDIS_EXCEPTION_CLASS_SSE4:
      return size == 16 ? 16 : 0;
    case ZYDIS_EXCEPTION_CLASS_AVX1:
    case ZYDIS_EXCEPTION_CLASS_E1:
    case ZYDIS_EXCEPTION_CLASS_E1NF:
      return size == 16 || size == 32 || size == 64 ? size : 0;
    default:
      return 0;
  }
}

Instruction::MemoryOperand MemoryOf(const ZydisDecodedInstruction& instruction,
                                    const ZydisDecodedOperand& operand) {
  Instruction::MemoryOperand out;
  out.base = UserIndex(operand.mem.base);
  out.index = UserIndex(operand.mem.index);
  out.relative_to_pc = operand.mem.base == ZYDIS_REGISTER_RIP;
  if (operand.mem.segment == ZYDIS_REGISTER_FS) out.segment_base = kFsBase;
  if (operand.mem.segment == ZYDIS_REGISTER_GS) out.segment_base = kGsBase;
  out.displacement = operand.mem.disp.value;
  out.scale = operand.mem.scale;
  out.size = operand.size / 8;
  out.reads = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
  out.writes = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  if (out.base) out.base_name = NameOf(operand.mem.base);
  out.alignment = AlignmentOf(instruction, out.size);
  out.of_stack =
      operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && operand.mem.base == ZYDIS_REGISTER_RSP;
  // What is pushed goes below the stack pointer; Zydis names the register as it was before.
  const bool pushes =
      instruction.meta.category == ZYDIS_CATEGORY_PUSH || instruction.meta.category == ZYDIS_CATEGORY_CALL;
  if (pushes && out.writes && operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
    out.displacement -= out.size;
  return out;
}

Instruction::Kind KindOf(const ZydisDecodedInstruction& instruction) {
  if (instruction.mnemonic == ZYDIS_MNEMONIC_DIV || instruction.mnemonic == ZYDIS_MNEMONIC_IDIV)
    return Instruction::Kind::kDivide;
  const bool flag =  // by the level of I/O rights, which no program has
      instruction.mnemonic == ZYDIS_MNEMONIC_CLI || instruction.mnemonic == ZYDIS_MNEMONIC_STI;
  // What the library does not mark. The tables of descriptors can be read where UMIP does not forbid it.
  constexpr ZydisMnemonic kPrivileged[] = {ZYDIS_MNEMONIC_LGDT, ZYDIS_MNEMONIC_LIDT,   ZYDIS_MNEMONIC_LLDT,
                                           ZYDIS_MNEMONIC_LTR,  ZYDIS_MNEMONIC_LMSW,   ZYDIS_MNEMONIC_XSETBV,
                                           ZYDIS_MNEMONIC_INVD, ZYDIS_MNEMONIC_SWAPGS, ZYDIS_MNEMONIC_WBINVD};
  if (flag || (instruction.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0 ||
      std::ranges::find(kPrivileged, instruction.mnemonic) != std::end(kPrivileged))
    return Instruction::Kind::kPrivileged;
  switch (instruction.meta.category) {
    case ZYDIS_CATEGORY_CALL:
      return Instruction::Kind::kCall;
    case ZYDIS_CATEGORY_RET:
      return Instruction::Kind::kReturn;
    case ZYDIS_CATEGORY_UNCOND_BR:
      return Instruction::Kind::kJump;
    case ZYDIS_CATEGORY_INTERRUPT:  // int3 and int1 trap; no other gate is for programs
      return instruction.mnemonic == ZYDIS_MNEMONIC_INT ? Instruction::Kind::kPrivileged
                                                        : Instruction::Kind::kOther;
    case ZYDIS_CATEGORY_IO:  // these need a right to ports
    case ZYDIS_CATEGORY_IOSTRINGOP:
      return Instruction::Kind::kPrivileged;
    default:
      return Instruction::Kind::kOther;
  }
}

std::string TextOf(const ZydisDecodedInstruction& instruction, std::span<const ZydisDecodedOperand> operands,
                   std::uint64_t address) {
  ZydisFormatter formatter;
  std::array<char, 256> text{};
  bool good = ZYAN_SUCCESS(::ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT));
  // "0x18", not "0x00000018": as debuggers print it.
  for (const ZydisFormatterProperty padding :
       {ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE,
        ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_FORMATTER_PROP_IMM_PADDING})
    good = good && ZYAN_SUCCESS(::ZydisFormatterSetProperty(&formatter, padding, ZYDIS_PADDING_DISABLED));
  good = good && ZYAN_SUCCESS(
                     ::ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE));
  if (!good || !ZYAN_SUCCESS(::ZydisFormatterFormatInstruction(&formatter, &instruction, operands.data(),
                                                               instruction.operand_count_visible, text.data(),
                                                               text.size(), address, nullptr)))
    return {};
  return text.data();
}

std::optional<Instruction> DecodeX86_64(std::span<const std::byte> bytes, std::uint64_t address) {
  ZydisDecoder decoder;
  ZydisDecodedInstruction decoded;
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> all;
  if (!ZYAN_SUCCESS(::ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
      !ZYAN_SUCCESS(::ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &decoded, all.data())))
    return std::nullopt;
  Instruction out;
  out.text = TextOf(decoded, all, address);
  out.size = decoded.length;
  out.kind = KindOf(decoded);
  if (out.kind == Instruction::Kind::kDivide) {
    const ZydisRegister divisor =
        all[0].type == ZYDIS_OPERAND_TYPE_REGISTER ? all[0].reg.value : ZYDIS_REGISTER_NONE;
    out.division = {.is_signed = decoded.mnemonic == ZYDIS_MNEMONIC_IDIV,
                    .size = static_cast<std::uint32_t>(all[0].size / 8),
                    .high_byte = divisor >= ZYDIS_REGISTER_AH && divisor <= ZYDIS_REGISTER_BH};
  }
  for (const ZydisDecodedOperand& operand : std::span(all).first(decoded.operand_count)) {
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.type == ZYDIS_MEMOP_TYPE_MEM) {
      out.memory.push_back(MemoryOf(decoded, operand));
    } else if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && !out.register_operand &&
               operand.visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
      out.register_operand = UserIndex(operand.reg.value);
      if (out.register_operand) out.register_name = NameOf(operand.reg.value);
    }
  }
  return out;
}

}  // namespace

std::optional<Instruction> Decode(const Architecture& arch, std::span<const std::byte> bytes,
                                  std::uint64_t address) {
  switch (arch.machine) {
    case EM_X86_64:
      return DecodeX86_64(bytes, address);
    case EM_AARCH64:
      return DecodeAarch64(bytes, address);
    default:
      return std::nullopt;
  }
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
