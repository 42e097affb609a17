#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace obit {

/// Registers of x86-64 by their DWARF numbers (System V ABI, AMD64 supplement, figure 3.36). Those of a
/// caller are known only as far as its callee saved them.
class Registers {
 public:
  static constexpr unsigned kRax = 0, kRdx = 1, kRcx = 2, kRbx = 3, kRsi = 4, kRdi = 5, kRbp = 6, kRsp = 7,
                            kPc = 16, kCount = 17;

  Registers() = default;
  /// From a whole struct user_regs_struct (sys/user.h); nothing is known from anything else.
  explicit Registers(const std::vector<std::uint64_t>& user);

  [[nodiscard]] std::optional<std::uint64_t> Get(unsigned number) const {
    return number < kCount && (known_ >> number & 1) != 0 ? std::optional(value_[number]) : std::nullopt;
  }
  void Set(unsigned number, std::uint64_t value) {
    value_[number] = value;
    known_ |= 1U << number;
  }
  [[nodiscard]] std::uint64_t pc() const { return value_[kPc]; }
  [[nodiscard]] std::uint64_t sp() const { return value_[kRsp]; }

 private:
  std::array<std::uint64_t, kCount> value_{};
  std::uint32_t known_ = 0;
};

/// Name and place in struct user_regs_struct of what a report shows, in the order that people know.
struct UserRegister {
  std::string_view name;
  std::size_t index;
};
inline constexpr UserRegister kUserRegisters[] = {
    {"rax", 10}, {"rbx", 5}, {"rcx", 11}, {"rdx", 12},    {"rsi", 13},     {"rdi", 14},    {"rbp", 4},
    {"rsp", 19}, {"r8", 9},  {"r9", 8},   {"r10", 7},     {"r11", 6},      {"r12", 3},     {"r13", 2},
    {"r14", 1},  {"r15", 0}, {"rip", 16}, {"eflags", 18}, {"fs_base", 21}, {"gs_base", 22}};
inline constexpr std::size_t kUserRegisterCount = 27;

}  // namespace obit
