#include "config/disk_amount.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace obit {
namespace {

constexpr std::string_view kUnits = "KMGTPE";
constexpr std::string_view kOff = "off";

/// "K", "KiB", "kB" and the like: the factor.
std::optional<std::uint64_t> UnitNamed(std::string_view text) {
  if (text.empty() || text == "B") return 1;
  const char letter = static_cast<char>(text[0] >= 'a' && text[0] <= 'z' ? text[0] - 'a' + 'A' : text[0]);
  const std::size_t power = kUnits.find(letter);
  const std::string_view rest = text.substr(1);
  if (power == std::string_view::npos || (!rest.empty() && rest != "B" && rest != "iB")) return std::nullopt;
  return std::uint64_t{1} << (10 * (power + 1));
}

}  // namespace

std::optional<std::uint64_t> DiskAmount::Of(std::uint64_t disk_bytes) const {
  std::optional<std::uint64_t> of = bytes;
  if (percent)
    of = std::min(of.value_or(UINT64_MAX), disk_bytes / 100 * *percent + disk_bytes % 100 * *percent / 100);
  return of;
}

std::optional<std::uint64_t> ParseBytes(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto unit = UnitNamed(Trim(text.substr(digits)));
  const std::string_view number = text.substr(0, digits);
  const std::size_t point = std::min(number.find('.'), number.size());
  const auto whole = ParseUnsigned(number.substr(0, point));
  std::uint64_t bytes = 0;
  if (!unit || !whole || __builtin_mul_overflow(*whole, *unit, &bytes)) return std::nullopt;
  if (point == number.size()) return bytes;
  constexpr std::size_t kDigitsMax = 3;
  const std::string_view fraction = number.substr(point + 1);
  const auto parts = ParseUnsigned(fraction);
  if (*unit == 1 || !parts || fraction.size() > kDigitsMax) return std::nullopt;
  std::uint64_t scale = 1;
  for (std::size_t i = 0; i < fraction.size(); ++i) scale *= 10;
  const std::uint64_t more = *unit / scale * *parts + *unit % scale * *parts / scale;
  if (__builtin_add_overflow(bytes, more, &bytes)) return std::nullopt;
  return bytes;
}

Result<DiskAmount> ParseDiskAmount(std::string_view text) {
  DiskAmount amount;
  if (text == kOff) return amount;
  for (const std::string_view part : Split(text, ',')) {
    const std::string_view one = Trim(part);
    if (one.ends_with('%') && !amount.percent) {
      const auto percent = ParseUnsigned(Trim(one.substr(0, one.size() - 1)));
      if (percent && *percent >= 1 && *percent <= 100) {
        amount.percent = static_cast<unsigned>(*percent);
        continue;
      }
    } else if (const auto bytes = ParseBytes(one); bytes && !amount.bytes) {
      amount.bytes = bytes;
      continue;
    }
    return Refuse(EINVAL, R"("{}" is no part of a disk such as 10%, 20 GiB or "15%, 10 GiB")",
                  EscapeControls(text));
  }
  return amount;
}

std::string ToText(const DiskAmount& amount) {
  std::string text;
  if (amount.percent) text = fmt::format("{}%", *amount.percent);
  if (amount.bytes) {
    std::uint64_t number = *amount.bytes;
    std::size_t power = 0;
    while (number != 0 && number % 1024 == 0 && power < kUnits.size()) number /= 1024, ++power;
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", number,
                        power == 0 ? "" : fmt::format(" {}iB", kUnits[power - 1]));
  }
  return text.empty() ? std::string(kOff) : text;
}

}  // namespace obit
