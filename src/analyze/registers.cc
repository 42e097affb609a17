#include "analyze/registers.h"

namespace obit {

Registers::Registers(const Architecture& arch, std::span<const std::uint64_t> status) : arch_(&arch) {
  if (status.size() != arch.register_count) return;
  for (unsigned number = 0; number < count(); ++number) Set(number, status[arch.by_dwarf[number]]);
}

}  // namespace obit
