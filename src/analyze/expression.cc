#include "analyze/expression.h"

#include <algorithm>
#include <vector>

#include <dwarf.h>

namespace obit {
namespace {

constexpr int kStepsMax = 4096;
constexpr std::size_t kStackMax = 256;

class Machine {
 public:
  Machine(const Registers& registers, std::optional<std::uint64_t> cfa, const ReadMemoryWord& read)
      : registers_(registers), cfa_(cfa), read_(read) {}

  std::optional<Location> Run(std::span<const Dwarf_Op> operations) {
    bool is_value = false;
    std::size_t next = 0;
    for (int steps = 0; next < operations.size(); ++steps) {
      if (steps >= kStepsMax || stack_.size() > kStackMax) return std::nullopt;
      const Dwarf_Op& operation = operations[next++];
      if (operation.atom == DW_OP_stack_value) {
        is_value = true;
      } else if (operation.atom >= DW_OP_reg0 && operation.atom <= DW_OP_reg31) {
        if (!PushRegister(operation.atom - DW_OP_reg0, 0)) return std::nullopt;
        is_value = true;
      } else if (operation.atom == DW_OP_regx) {
        if (!PushRegister(operation.number, 0)) return std::nullopt;
        is_value = true;
      } else if (operation.atom == DW_OP_bra || operation.atom == DW_OP_skip) {
        if (operation.atom == DW_OP_bra) {
          const auto condition = Pop();
          if (!condition) return std::nullopt;
          if (*condition == 0) continue;
        }
        // The operand counts bytes from the next operation on; Dwarf_Op says where each one begins.
        const auto target =
            std::ranges::find(operations, operation.offset + 3 + operation.number, &Dwarf_Op::offset);
        if (target == operations.end()) return std::nullopt;
        next = static_cast<std::size_t>(target - operations.begin());
      } else if (!Step(operation)) {
        return std::nullopt;
      }
    }
    if (stack_.empty()) return std::nullopt;
    return Location{stack_.back(), !is_value};
  }

 private:
  bool PushRegister(std::uint64_t number, std::uint64_t offset) {
    const auto value = registers_.Get(static_cast<unsigned>(std::min<std::uint64_t>(number, UINT32_MAX)));
    if (value) stack_.push_back(*value + offset);
    return value.has_value();
  }

  std::optional<std::uint64_t> Pop() {
    if (stack_.empty()) return std::nullopt;
    const std::uint64_t value = stack_.back();
    stack_.pop_back();
    return value;
  }

  bool Push(std::optional<std::uint64_t> value) {
    if (value) stack_.push_back(*value);
    return value.has_value();
  }

  bool Pick(std::uint64_t index) {
    return index < stack_.size() && Push(stack_[stack_.size() - 1 - static_cast<std::size_t>(index)]);
  }

  bool Unary(const auto& compute) {
    const auto a = Pop();
    return a && Push(compute(*a));
  }
  /// `a` lies below `b` on the stack.
  bool Binary(const auto& compute) {
    const auto b = Pop(), a = Pop();
    return a && b && Push(compute(*a, *b));
  }

  bool Step(const Dwarf_Op& operation) {
    const std::uint64_t number = operation.number;
    if (operation.atom >= DW_OP_lit0 && operation.atom <= DW_OP_lit31)
      return Push(operation.atom - DW_OP_lit0);
    if (operation.atom >= DW_OP_breg0 && operation.atom <= DW_OP_breg31)
      return PushRegister(operation.atom - DW_OP_breg0, number);
    using U = std::uint64_t;
    using S = std::int64_t;
    switch (operation.atom) {
      case DW_OP_bregx:
        return PushRegister(number, operation.number2);
      case DW_OP_addr:
      case DW_OP_const1u:
      case DW_OP_const1s:
      case DW_OP_const2u:
      case DW_OP_const2s:
      case DW_OP_const4u:
      case DW_OP_const4s:
      case DW_OP_const8u:
      case DW_OP_const8s:
      case DW_OP_constu:
      case DW_OP_consts:
        return Push(number);
      case DW_OP_call_frame_cfa:
        return Push(cfa_);
      case DW_OP_deref: {
        const auto address = Pop();
        return address && Push(read_(*address));
      }
      case DW_OP_dup:
        return Pick(0);
      case DW_OP_over:
        return Pick(1);
      case DW_OP_pick:
        return Pick(number);
      case DW_OP_drop:
        return Pop().has_value();
      case DW_OP_swap: {
        const auto b = Pop(), a = Pop();
        return a && b && Push(b) && Push(a);
      }
      case DW_OP_nop:
        return true;
      case DW_OP_plus_uconst:
        return Unary([&](U a) { return a + number; });
      case DW_OP_neg:
        return Unary([](U a) { return 0 - a; });
      case DW_OP_not:
        return Unary([](U a) { return ~a; });
      case DW_OP_plus:
        return Binary([](U a, U b) { return a + b; });
      case DW_OP_minus:
        return Binary([](U a, U b) { return a - b; });
      case DW_OP_mul:
        return Binary([](U a, U b) { return a * b; });
      case DW_OP_and:
        return Binary([](U a, U b) { return a & b; });
      case DW_OP_or:
        return Binary([](U a, U b) { return a | b; });
      case DW_OP_xor:
        return Binary([](U a, U b) { return a ^ b; });
      case DW_OP_shl:
        return Binary([](U a, U b) { return b < 64 ? a << b : 0; });
      case DW_OP_shr:
        return Binary([](U a, U b) { return b < 64 ? a >> b : 0; });
      case DW_OP_shra:
        return Binary([](U a, U b) { return static_cast<U>(static_cast<S>(a) >> std::min<U>(b, 63)); });
      case DW_OP_eq:
        return Binary([](U a, U b) { return U{a == b}; });
      case DW_OP_ne:
        return Binary([](U a, U b) { return U{a != b}; });
      case DW_OP_lt:
        return Binary([](U a, U b) { return U{static_cast<S>(a) < static_cast<S>(b)}; });
      case DW_OP_le:
        return Binary([](U a, U b) { return U{static_cast<S>(a) <= static_cast<S>(b)}; });
      case DW_OP_gt:
        return Binary([](U a, U b) { return U{static_cast<S>(a) > static_cast<S>(b)}; });
      case DW_OP_ge:
        return Binary([](U a, U b) { return U{static_cast<S>(a) >= static_cast<S>(b)}; });
      default:
        return false;
    }
  }

  const Registers& registers_;
  std::optional<std::uint64_t> cfa_;
  const ReadMemoryWord& read_;
  std::vector<std::uint64_t> stack_;
};

}  // namespace

std::optional<Location> Evaluate(std::span<const Dwarf_Op> operations, const Registers& registers,
                                 std::optional<std::uint64_t> cfa, const ReadMemoryWord& read) {
  return Machine(registers, cfa, read).Run(operations);
}

}  // namespace obit
