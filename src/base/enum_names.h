#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace obit {

/// The names of an enumeration's values, for text and JSON: one table, read both ways.
template <class E, std::size_t N>
using EnumNames = std::array<std::pair<E, std::string_view>, N>;

/// "unknown": the table does not have it.
template <class E, std::size_t N>
[[nodiscard]] constexpr std::string_view NameIn(const EnumNames<E, N>& names, E value) {
  for (const auto& [known, name] : names)
    if (known == value) return name;
  return "unknown";
}

template <class E, std::size_t N>
[[nodiscard]] constexpr std::optional<E> ValueIn(const EnumNames<E, N>& names, std::string_view wanted) {
  for (const auto& [known, name] : names)
    if (name == wanted) return known;
  return std::nullopt;
}

}  // namespace obit
