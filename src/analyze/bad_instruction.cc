#include <array>
#include <csignal>
#include <cstring>

#include <elf.h>

#include "analyze/cause.h"
#include "analyze/division.h"

namespace obit {
namespace {

/// A check of -fsanitize-trap by its number, which clang writes into the instruction that kills (enum
/// SanitizerHandler of clang/lib/CodeGen/CodeGenFunction.h).
constexpr std::string_view kChecks[] = {
    "integer overflow in an addition",
    "code was reached that was said to be unreachable",
    "control flow integrity",
    "division by zero, or overflow in a division",
    "an object has not the type of its pointer",
    "a floating-point number is out of the range of its new type",
    "a function was called through a pointer of another type",
    "an implicit conversion changed the value",
    "a builtin was called with an invalid argument",
    "a cast to another class of Objective-C",
    "a value that its type does not have",
    "a function ended without returning a value",
    "integer overflow in a multiplication",
    "integer overflow in a negation",
    "null was passed for what is declared not to be null",
    "null was returned for what is declared not to be null",
    "null was passed for what is declared not to be null",
    "null was returned for what is declared not to be null",
    "an index is out of bounds",
    "pointer arithmetic overflowed",
    "a shift by too many bits, or of bits that get lost",
    "integer overflow in a subtraction",
    "an access through a null or misaligned pointer, or to an object too small",
    "an assumed alignment does not hold",
    "the bound of a variable-length array is not positive"};

Cause FloatingPoint(int code) {
  Cause cause{.kind = CauseKind::kArithmetic};
  switch (code) {
    case FPE_FLTDIV:
      cause.what = "floating-point division by zero";
      break;
    case FPE_FLTOVF:
      cause.what = "floating-point overflow";
      break;
    case FPE_FLTUND:  // the kernel gives it for a denormal operand, too (fpu__exception_code())
      cause.what = "floating-point underflow";
      break;
    case FPE_FLTRES:
      cause.what = "inexact floating-point result";
      break;
    case FPE_FLTINV:
      cause.what = "invalid floating-point operation";
      break;
    default:
      break;
  }
  return cause;
}

Cause Arithmetic(CrashScene& scene) {
  const int code = scene.record.signal.code.value_or(0);
  if (code == FPE_INTOVF) return {.kind = CauseKind::kArithmetic, .what = "integer overflow"};
  if (code != FPE_INTDIV) return FloatingPoint(code);
  // The processor faults for a quotient that does not fit, too: INT_MIN / -1.
  const auto division =
      scene.instruction ? FindDivision(scene.image, *scene.instruction, scene.registers) : std::nullopt;
  if (!division) return {.kind = CauseKind::kDivideByZero, .guess = true};
  if (division->divisor == 0) return {.kind = CauseKind::kDivideByZero, .reg = division->reg};
  Cause cause{.kind = CauseKind::kDivisionOverflow, .reg = division->reg};
  cause.what = "by " + division->text;
  // These registers divide well: they are not those of the fault.
  cause.guess = !division->overflows;
  return cause;
}

Cause Breakpoint(const CrashScene& scene) {
  const auto trap = [](std::string_view what) {
    return Cause{.kind = CauseKind::kTrap, .what = std::string(what)};
  };
  const auto before = [&](std::uint64_t distance) {
    std::byte byte{};
    return scene.image.Read(scene.pc() - distance, std::span(&byte, 1)) == 1 ? byte : std::byte{};
  };
  switch (scene.record.signal.code.value_or(SI_KERNEL)) {
    case TRAP_TRACE:
      return trap("trap of a single step");
    case TRAP_BRANCH:
      return trap("trap of a branch");
    case TRAP_HWBKPT:
      return trap("hardware breakpoint or watchpoint");
    default:
      break;
  }
  if (scene.image.arch().machine != EM_X86_64) return trap("breakpoint trap");
  // int3 faults behind itself; cd 03 is another form of it.
  const bool int3 =
      before(1) == std::byte{0xcc} || (before(1) == std::byte{3} && before(2) == std::byte{0xcd});
  return trap(int3 ? "breakpoint trap (int3)" : "trap");
}

/// ud1 as llvm.ubsantrap makes it: ud1l NUMBER(%eax), %eax.
std::optional<std::uint8_t> CheckOf(std::span<const std::byte> code) {
  const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(code[i]); };
  if (code.size() < 5 || at(0) != 0x67 || at(1) != 0x0f || at(2) != 0xb9) return std::nullopt;
  if (at(3) == 0x00) return 0;
  if (at(3) == 0x40) return static_cast<std::uint8_t>(at(4));
  return std::nullopt;
}

Cause SanitizerTrap(const CrashScene& scene, std::uint8_t number) {
  Cause cause{.kind = CauseKind::kSanitizerTrap, .function = OwnFunction(scene)};
  cause.what = number < std::size(kChecks) ? std::string(kChecks[number]) : fmt::format("check {}", number);
  return cause;
}

}  // namespace

Cause FindBadInstruction(CrashScene& scene) {
  if (scene.record.signal.number == SIGFPE) return Arithmetic(scene);
  if (scene.record.signal.number == SIGTRAP) return Breakpoint(scene);
  std::array<std::byte, 8> bytes{};
  const auto code = std::span(bytes).first(scene.image.Read(scene.pc(), bytes));
  if (const auto number = CheckOf(code)) return SanitizerTrap(scene, *number);
  const auto begins = [&](std::size_t at, unsigned second) {
    return code.size() >= at + 2 && code[at] == std::byte{0x0f} &&
           code[at + 1] == static_cast<std::byte>(second);
  };
  if (begins(0, 0x0b)) return {.kind = CauseKind::kTrap, .what = "deliberate trap (ud2)"};
  const bool prefix = !code.empty() && code[0] == std::byte{0x67};
  if (begins(prefix ? 1 : 0, 0xb9)) return {.kind = CauseKind::kTrap, .what = "deliberate trap (ud1)"};
  Cause cause{.kind = CauseKind::kIllegalInstruction};
  if (scene.instruction) {
    cause.instruction = scene.instruction->text;
  } else if (!code.empty()) {
    cause.instruction = "bytes";
    for (const std::byte byte : code)
      cause.instruction += fmt::format(" {:02x}", std::to_integer<unsigned>(byte));
  }
  return cause;
}

}  // namespace obit
