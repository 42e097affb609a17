#include "arch/architecture.h"

#include <elf.h>

namespace obit {

/// Only the notes of a core of 32 bits are read.
constexpr Architecture kI386{
    .machine = EM_386,
    .name = "i386",
    .word = 4,
    .status_registers_at = 72,
    .register_count = 17,
    .sp = 15,
    .pc = 12,
};

const Architecture* FindArchitecture(std::uint16_t machine) {
  for (const Architecture* one : {&kX86_64, &kAarch64, &kI386})
    if (one->machine == machine) return one;
  return nullptr;
}

}  // namespace obit
