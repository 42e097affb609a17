#include "analyze/registers.h"

namespace obit {

Registers::Registers(const std::vector<std::uint64_t>& user) {
  if (user.size() != kUserRegisterCount) return;
  // user_regs_struct by DWARF number: rax rdx rcx rbx rsi rdi rbp rsp r8 ... r15 rip.
  constexpr std::size_t kIndex[kCount] = {10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16};
  for (unsigned number = 0; number < kCount; ++number) Set(number, user[kIndex[number]]);
}

}  // namespace obit
