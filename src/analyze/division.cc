#include "analyze/division.h"

#include <array>
#include <cstring>

namespace obit {
namespace {

constexpr std::size_t kRax = 10, kRdx = 12, kRip = 16;  // in struct user_regs_struct

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

std::uint64_t Low(std::uint64_t value, unsigned bits) {
  return bits >= 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

SignedWide Signed(Wide value, unsigned bits) {
  const unsigned above = 128 - bits;
  return static_cast<SignedWide>(value << above) >> above;
}

bool Overflows(Wide dividend, std::uint64_t divisor, unsigned bits, bool is_signed) {
  if (!is_signed) return dividend / divisor >> bits != 0;
  const SignedWide by = Signed(divisor, bits), of = Signed(dividend, bits * 2);
  // The only quotient that 128 bits do not hold.
  if (by == -1 && bits == 64 && of == Signed(Wide{1} << 127, 128)) return true;
  const SignedWide quotient = of / by, limit = SignedWide{1} << (bits - 1);
  return quotient < -limit || quotient >= limit;
}

}  // namespace

std::optional<DivisionOperands> FindDivision(CoreImage& image, const Instruction& instruction,
                                             std::span<const std::uint64_t> registers) {
  if (!instruction.division || registers.size() <= kRip) return std::nullopt;
  const unsigned bits = instruction.division->size * 8;
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) return std::nullopt;
  DivisionOperands found;
  if (instruction.register_operand) {
    const std::uint64_t whole = registers[*instruction.register_operand];
    found.divisor = Low(instruction.division->high_byte ? whole >> 8 : whole, bits);
    found.reg = instruction.register_name;
  } else {
    if (instruction.memory.empty()) return std::nullopt;
    const std::uint64_t address =
        AddressOf(instruction.memory.front(), registers, registers[kRip] + instruction.size);
    const auto out = std::as_writable_bytes(std::span(&found.divisor, 1)).first(bits / 8);
    if (image.Read(address, out) != out.size()) return std::nullopt;
  }
  const bool is_signed = instruction.division->is_signed;
  found.text = is_signed ? fmt::format("{}", static_cast<std::int64_t>(Signed(found.divisor, bits)))
                         : fmt::format("{}", found.divisor);
  if (found.divisor == 0) return found;
  const std::uint64_t rax = registers[kRax], rdx = registers[kRdx];
  const Wide dividend = bits == 8 ? Wide{Low(rax, 16)} : Wide{Low(rdx, bits)} << bits | Low(rax, bits);
  found.overflows = Overflows(dividend, found.divisor, bits, is_signed);
  return found;
}

}  // namespace obit
