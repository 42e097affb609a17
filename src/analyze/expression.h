#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include <elfutils/libdw.h>

#include "analyze/registers.h"

namespace obit {

/// Where call frame information finds a value: in memory, or as it is.
struct Location {
  std::uint64_t value = 0;
  bool is_address = false;
};

using ReadMemoryWord = std::function<std::optional<std::uint64_t>(std::uint64_t address)>;

/// Evaluates a DWARF expression (DWARF 5, 2.5) of call frame information. `cfa` stands for
/// DW_OP_call_frame_cfa. Nothing: a register or memory that is not known, an operation that has no place
/// there, or more than 4,096 operations (expressions can loop).
[[nodiscard]] std::optional<Location> Evaluate(std::span<const Dwarf_Op> operations,
                                               const Registers& registers, std::optional<std::uint64_t> cfa,
                                               const ReadMemoryWord& read);

}  // namespace obit
