#pragma once

#include <cstdint>
#include <optional>

namespace obit {

/// How short the memory of the host is.
struct MemoryLoad {
  /// So much of the last ten seconds somebody waited for memory, in 1/100 percent. Nothing: this kernel does
  /// not say.
  std::optional<std::uint32_t> pressure;
  std::uint64_t total = 0, available = 0;  ///< bytes; 0: not known

  bool operator==(const MemoryLoad&) const = default;
};

}  // namespace obit
