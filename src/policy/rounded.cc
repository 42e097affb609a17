#include "policy/rounded.h"

#include <fmt/format.h>

namespace obit {

std::string Rounded(std::uint64_t bytes) {
  const auto in = [&](unsigned shift) {
    return static_cast<double>(bytes) / static_cast<double>(std::uint64_t{1} << shift);
  };
  if (bytes >= std::uint64_t{1} << 30) return fmt::format("{:.1f} GiB", in(30));
  if (bytes >= std::uint64_t{1} << 20) return fmt::format("{:.0f} MiB", in(20));
  return fmt::format("{:.0f} KiB", in(10));
}

}  // namespace obit
