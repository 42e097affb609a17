// No debug information tells what a library passed to its abort handler, and by the time of death the
// argument registers hold something else. But the code that loaded them is known, and so are, of each caller,
// the registers that a call preserves, its stack pointer and its frame: the last straight piece of code in
// front of the call is followed with these values. Where two ways of control flow meet, all is forgotten.

#include "analyze/call_arguments.h"

#include <algorithm>
#include <span>
#include <vector>

#include <Zydis/Zydis.h>

namespace obit {
namespace {

constexpr std::size_t kCodeMax = 16 * 1024;
constexpr unsigned kGeneral = 16;

/// 0..15 in the order of the machine's encoding: rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15.
std::optional<unsigned> NumberOf(ZydisRegister reg) {
  const ZydisRegister whole = ::ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
  if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15) return std::nullopt;
  return static_cast<unsigned>(whole - ZYDIS_REGISTER_RAX);
}
constexpr unsigned kRsp = 4;
constexpr std::uint32_t Bit(unsigned number) { return 1U << number; }
constexpr std::uint32_t kPreserved =
    Bit(3) | Bit(kRsp) | Bit(5) | Bit(12) | Bit(13) | Bit(14) | Bit(15);  // rbx rsp rbp r12..r15

/// DWARF numbers of the same registers.
constexpr unsigned kDwarf[kGeneral] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

class Follower {
 public:
  Follower(CoreImage& image, const Registers& caller) : image_(image), caller_(caller) { Forget(); }

  /// Only the registers that the call preserved have values, as if from the beginning on: what is derived
  /// from one of them is dropped as soon as the code changes it.
  void Forget() {
    for (unsigned i = 0; i < kGeneral; ++i)
      values_[i] = {(kPreserved & Bit(i)) != 0 ? caller_.Get(kDwarf[i]) : std::nullopt, Bit(i) & kPreserved};
  }

  void Take(const ZydisDecodedInstruction& one, std::span<const ZydisDecodedOperand> operands,
            std::uint64_t next) {
    if (one.meta.category == ZYDIS_CATEGORY_CALL) {
      for (unsigned i = 0; i < kGeneral; ++i)
        if ((kPreserved & Bit(i)) == 0) values_[i] = {};
      return;
    }
    if (one.meta.category == ZYDIS_CATEGORY_UNCOND_BR || one.meta.category == ZYDIS_CATEGORY_RET)
      return Forget();
    std::optional<unsigned> to;
    if (operands.size() > 1 && operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && operands[0].size >= 32 &&
        (operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0)
      to = NumberOf(operands[0].reg.value);
    const Value value = to ? Result(one, operands, next) : Value();
    for (const ZydisDecodedOperand& operand : operands) {
      if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER ||
          (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0)
        continue;
      if (const auto written = NumberOf(operand.reg.value)) Drop(*written);
    }
    if (to && (kPreserved & Bit(*to)) == 0) values_[*to] = value;
  }

  [[nodiscard]] std::optional<std::uint64_t> Get(unsigned number) const { return values_[number].value; }

 private:
  struct Value {
    std::optional<std::uint64_t> value;
    std::uint32_t from = 0;  ///< preserved registers that it was made of
  };

  void Drop(unsigned written) {
    if ((kPreserved & Bit(written)) == 0) {
      values_[written] = {};
      return;
    }
    for (unsigned i = 0; i < kGeneral; ++i)
      if (i != written && (values_[i].from & Bit(written)) != 0 && (kPreserved & Bit(i)) == 0)
        values_[i] = {};
  }

  [[nodiscard]] Value Of(ZydisRegister reg) const {
    const auto number = NumberOf(reg);
    return number ? values_[*number] : Value();
  }

  [[nodiscard]] Value Address(const ZydisDecodedOperand& operand, std::uint64_t next) const {
    const auto offset = static_cast<std::uint64_t>(operand.mem.disp.value);
    if (operand.mem.index != ZYDIS_REGISTER_NONE || operand.mem.segment == ZYDIS_REGISTER_FS ||
        operand.mem.segment == ZYDIS_REGISTER_GS)
      return {};
    if (operand.mem.base == ZYDIS_REGISTER_RIP) return {next + offset};
    Value value = Of(operand.mem.base);
    if (value.value) *value.value += offset;
    return value;
  }

  [[nodiscard]] Value Result(const ZydisDecodedInstruction& one,
                             std::span<const ZydisDecodedOperand> operands, std::uint64_t next) {
    const ZydisDecodedOperand& from = operands[1];
    switch (one.mnemonic) {
      case ZYDIS_MNEMONIC_LEA:
        return Address(from, next);
      case ZYDIS_MNEMONIC_MOV: {
        Value value;
        if (from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) value.value = from.imm.value.u;
        if (from.type == ZYDIS_OPERAND_TYPE_REGISTER) value = Of(from.reg.value);
        if (from.type == ZYDIS_OPERAND_TYPE_MEMORY) {
          value = Address(from, next);
          if (value.value) value.value = image_.ReadWord(*value.value);
        }
        if (value.value && operands[0].size == 32) *value.value &= UINT32_MAX;
        return value;
      }
      case ZYDIS_MNEMONIC_XOR:
        if (from.type == ZYDIS_OPERAND_TYPE_REGISTER && from.reg.value == operands[0].reg.value) return {0};
        return {};
      case ZYDIS_MNEMONIC_ADD: {
        Value value = Of(operands[0].reg.value);
        if (!value.value || from.type != ZYDIS_OPERAND_TYPE_IMMEDIATE || operands[0].size != 64) return {};
        *value.value += from.imm.value.u;
        return value;
      }
      default:
        return {};
    }
  }

  CoreImage& image_;
  const Registers& caller_;
  std::array<Value, kGeneral> values_;
};

struct Decoded {
  std::size_t at;
  ZydisDecodedInstruction instruction;
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
};

/// Where a direct jump goes, as an index of the code.
std::optional<std::size_t> TargetOf(const Decoded& one, std::size_t size) {
  if (one.instruction.meta.category != ZYDIS_CATEGORY_COND_BR &&
      one.instruction.meta.category != ZYDIS_CATEGORY_UNCOND_BR)
    return std::nullopt;
  const ZydisDecodedOperand& to = one.operands[0];
  if (to.type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !to.imm.is_relative) return std::nullopt;
  const std::uint64_t target = one.at + one.instruction.length + to.imm.value.u;
  return target < size ? std::optional<std::size_t>(target) : std::nullopt;
}

}  // namespace

CallArguments FindCallArguments(CoreImage& image, std::uint64_t begin, const Registers& caller) {
  const std::uint64_t end = caller.pc();
  if (begin >= end || end - begin > kCodeMax) return {};
  std::vector<std::byte> code(end - begin);
  ZydisDecoder decoder;
  if (image.Read(begin, code) != code.size() ||
      !ZYAN_SUCCESS(::ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
    return {};
  std::vector<bool> targets(code.size());
  const auto each = [&](const auto& take) {
    Decoded one;
    for (one.at = 0; one.at < code.size(); one.at += one.instruction.length) {
      const auto rest = std::span(code).subspan(one.at);
      if (!ZYAN_SUCCESS(::ZydisDecoderDecodeFull(&decoder, rest.data(), rest.size(), &one.instruction,
                                                 one.operands.data())))
        return false;
      take(one);
    }
    return one.at == code.size() && one.instruction.meta.category == ZYDIS_CATEGORY_CALL;
  };
  const bool whole = each([&](const Decoded& one) {
    if (const auto target = TargetOf(one, code.size())) targets[*target] = true;
  });
  if (!whole) return {};
  Follower follower(image, caller);
  CallArguments arguments;
  each([&](const Decoded& one) {
    if (targets[one.at]) follower.Forget();
    const std::size_t next = one.at + one.instruction.length;
    if (next == code.size()) {
      constexpr unsigned kArguments[] = {7, 6, 2, 1, 8, 9};
      for (std::size_t i = 0; i < arguments.size(); ++i) arguments[i] = follower.Get(kArguments[i]);
    } else {
      follower.Take(one.instruction, std::span(one.operands).first(one.instruction.operand_count),
                    begin + next);
    }
  });
  return arguments;
}

}  // namespace obit
