#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace obit {

/// Who does not know it cannot choose texts of one hash.
struct HashKey {
  std::uint64_t first = 0, second = 0;
};

/// SipHash-2-4 (Aumasson and Bernstein, 2012).
[[nodiscard]] std::uint64_t KeyedHash(const HashKey& key, std::span<const std::byte> bytes);

}  // namespace obit
