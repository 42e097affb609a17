#include <array>
#include <csignal>

#include "analyze/cause.h"

namespace obit {
namespace {

Cause Arithmetic(const CrashScene& scene) {
  const int code = scene.record.signal.code.value_or(0);
  if (code == FPE_INTDIV) {
    // The processor faults for a quotient that does not fit, too: INT_MIN / -1.
    const auto& instruction = scene.instruction;
    if (instruction && instruction->kind == Instruction::Kind::kDivide && instruction->register_operand) {
      const std::uint64_t divisor = scene.registers[*instruction->register_operand];
      if (static_cast<std::uint32_t>(divisor) == UINT32_MAX)
        return {.kind = CauseKind::kDivisionOverflow, .what = "by -1"};
    }
    return {.kind = CauseKind::kDivideByZero};
  }
  switch (code) {
    case FPE_FLTDIV:
      return {.kind = CauseKind::kArithmetic, .what = "floating-point division by zero"};
    case FPE_FLTOVF:
      return {.kind = CauseKind::kArithmetic, .what = "floating-point overflow"};
    case FPE_FLTUND:
      return {.kind = CauseKind::kArithmetic, .what = "floating-point underflow"};
    case FPE_FLTINV:
      return {.kind = CauseKind::kArithmetic, .what = "invalid floating-point operation"};
    default:
      return {.kind = CauseKind::kArithmetic};
  }
}

}  // namespace

Cause FindBadInstruction(CrashScene& scene) {
  if (scene.record.signal.number == SIGFPE) return Arithmetic(scene);
  const auto byte_at = [&](std::uint64_t address) -> std::optional<unsigned> {
    std::byte byte{};
    if (scene.image.Read(address, std::span(&byte, 1)) != 1) return std::nullopt;
    return std::to_integer<unsigned>(byte);
  };
  // int3 faults behind itself.
  if (scene.record.signal.number == SIGTRAP) {
    const bool int3 = byte_at(scene.pc() - 1) == 0xcc;
    return {.kind = CauseKind::kTrap, .what = int3 ? "breakpoint trap (int3)" : "trap"};
  }
  if (byte_at(scene.pc()) == 0x0f) {
    if (byte_at(scene.pc() + 1) == 0x0b) return {.kind = CauseKind::kTrap, .what = "deliberate trap (ud2)"};
    if (byte_at(scene.pc() + 1) == 0xb9) return {.kind = CauseKind::kTrap, .what = "deliberate trap (ud1)"};
  }
  Cause cause{.kind = CauseKind::kIllegalInstruction};
  std::array<std::byte, 8> bytes{};
  const std::size_t got = scene.image.Read(scene.pc(), bytes);
  if (scene.instruction) {
    cause.instruction = scene.instruction->text;
  } else if (got > 0) {
    cause.instruction = "bytes";
    for (std::size_t i = 0; i < got; ++i)
      cause.instruction += fmt::format(" {:02x}", std::to_integer<unsigned>(bytes[i]));
  }
  return cause;
}

}  // namespace obit
