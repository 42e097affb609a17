#include "analyze/aarch64_instruction.h"

#include <string_view>

#include <capstone/capstone.h>

namespace obit {
namespace {

class Decoder {
 public:
  Decoder() {
    if (::cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &handle_) != CS_ERR_OK) handle_ = 0;
    if (handle_ != 0) ::cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
  }
  Decoder(const Decoder&) = delete;
  ~Decoder() {
    ::cs_free(instruction_, count_);
    if (handle_ != 0) ::cs_close(&handle_);
  }

  const cs_insn* Decode(std::span<const std::byte> bytes, std::uint64_t address) {
    if (handle_ == 0) return nullptr;
    count_ = ::cs_disasm(handle_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), address,
                         1, &instruction_);
    return count_ == 1 && instruction_->detail != nullptr ? instruction_ : nullptr;
  }
  std::string NameOf(unsigned reg) const {
    const char* name = ::cs_reg_name(handle_, reg);
    return name == nullptr ? "" : name;
  }

 private:
  csh handle_ = 0;
  cs_insn* instruction_ = nullptr;
  std::size_t count_ = 0;
};

/// The index in struct user_pt_regs of a general register, or of its lower half.
std::optional<std::size_t> UserIndex(unsigned reg) {
  if (reg >= ARM64_REG_X0 && reg <= ARM64_REG_X28) return reg - ARM64_REG_X0;
  if (reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30) return reg - ARM64_REG_W0;
  switch (reg) {
    case ARM64_REG_X29:
      return 29;
    case ARM64_REG_X30:
      return 30;
    case ARM64_REG_SP:
      return 31;
    default:
      return std::nullopt;
  }
}

Instruction::Kind KindOf(std::string_view mnemonic) {
  if (mnemonic.starts_with("bl") && mnemonic != "bls" && mnemonic != "blo") return Instruction::Kind::kCall;
  if (mnemonic.starts_with("ret")) return Instruction::Kind::kReturn;
  if (mnemonic.starts_with("br") && mnemonic != "brk") return Instruction::Kind::kJump;
  if (mnemonic == "sdiv" || mnemonic == "udiv") return Instruction::Kind::kDivide;
  if (mnemonic == "hvc" || mnemonic == "smc" || mnemonic == "eret") return Instruction::Kind::kPrivileged;
  return Instruction::Kind::kOther;
}

/// Bytes that one register of the instruction takes; the mnemonic ends with what is narrower than it.
std::uint32_t SizeOf(const cs_arm64& detail, std::string_view mnemonic) {
  constexpr std::uint32_t kWhole = 16;  // of a pair, and of vector registers
  if (mnemonic.ends_with('b')) return 1;
  if (mnemonic.ends_with('h')) return 2;
  const unsigned reg =
      detail.op_count > 0 && detail.operands[0].type == ARM64_OP_REG ? detail.operands[0].reg : 0;
  const bool pair = mnemonic.ends_with('p');
  if ((reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30) || reg == ARM64_REG_WZR) return pair ? 8 : 4;
  return UserIndex(reg) && !pair ? 8 : kWhole;
}

}  // namespace

std::optional<Instruction> DecodeAarch64(std::span<const std::byte> bytes, std::uint64_t address) {
  constexpr std::size_t kBytes = 4;
  if (bytes.size() < kBytes) return std::nullopt;
  Decoder decoder;
  const cs_insn* decoded = decoder.Decode(bytes.first(kBytes), address);
  if (decoded == nullptr) return std::nullopt;
  const std::string_view mnemonic = decoded->mnemonic;
  const cs_arm64& detail = decoded->detail->arm64;
  Instruction out;
  out.text = std::string(mnemonic) + (decoded->op_str[0] == '\0' ? "" : " ") + decoded->op_str;
  out.size = kBytes;
  out.kind = KindOf(mnemonic);
  // Atomic operations do both.
  const bool both = mnemonic.starts_with("swp") || mnemonic.starts_with("cas") ||
                    mnemonic.starts_with("ldadd") || mnemonic.starts_with("ldset") ||
                    mnemonic.starts_with("ldclr") || mnemonic.starts_with("ldeor");
  const bool touches = both || mnemonic.starts_with("ld") || mnemonic.starts_with("st");
  for (unsigned i = 0; i < detail.op_count; ++i) {
    const cs_arm64_op& operand = detail.operands[i];
    if (operand.type == ARM64_OP_MEM && touches) {
      Instruction::MemoryOperand memory{
          .base = UserIndex(operand.mem.base),
          .index = UserIndex(operand.mem.index),
          .displacement = operand.mem.disp,
          .scale = operand.shift.type == ARM64_SFT_LSL ? 1 << (operand.shift.value & 7) : 1,
          .size = SizeOf(detail, mnemonic)};
      memory.reads = both || mnemonic.starts_with("ld");
      memory.writes = both || mnemonic.starts_with("st");
      if (memory.base) memory.base_name = decoder.NameOf(operand.mem.base);
      out.memory.push_back(memory);
    } else if (operand.type == ARM64_OP_REG && !out.register_operand &&
               (out.kind == Instruction::Kind::kCall || out.kind == Instruction::Kind::kJump)) {
      out.register_operand = UserIndex(operand.reg);
      if (out.register_operand) out.register_name = decoder.NameOf(operand.reg);
    }
  }
  return out;
}

}  // namespace obit
