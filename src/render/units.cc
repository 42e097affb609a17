#include "render/units.h"

#include <array>
#include <cmath>

#include <fmt/format.h>

namespace obit {

std::string FormatBytes(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.5 would be shown as 1024: it is one of the next unit.
  while (value >= 1023.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit > 0 && value < 9.95) return fmt::format("{:.1f} {}", value, kUnits[unit]);
  return fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string FormatDuration(double seconds) {
  if (!(seconds > 0)) return "0 s";
  if (seconds < 0.001) return fmt::format("{:.2f} ms", seconds * 1e3);
  if (seconds < 0.0995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  const double longest = 1e12;  // of what a 64-bit count can hold, far beyond any process
  const auto whole = static_cast<std::uint64_t>(std::llround(std::fmin(seconds, longest)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

std::string FormatCount(std::uint64_t count, const std::string& noun) {
  if (count == 1) return "1 " + noun;
  return fmt::format("{} {}{}", count, noun, noun.ends_with("sh") || noun.ends_with('s') ? "es" : "s");
}

}  // namespace obit
