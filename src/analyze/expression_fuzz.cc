// Any bytes as operations of a DWARF expression: atom, then number and offset in one byte each.

#include <vector>

#include "analyze/expression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<Dwarf_Op> operations;
  for (std::size_t i = 0; i + 3 <= size; i += 3)
    operations.push_back({.atom = data[i],
                          .number = static_cast<std::uint64_t>(static_cast<std::int8_t>(data[i + 1])),
                          .number2 = data[i + 1],
                          .offset = data[i + 2]});
  obit::Registers registers(obit::kX86_64);
  registers.SetSp(1000);
  (void)obit::Evaluate(operations, registers, 2000,
                       [](std::uint64_t address) { return std::optional(address * 3); });
  return 0;
}
