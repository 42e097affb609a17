#pragma once

#include <algorithm>
#include <span>
#include <string_view>

namespace obit {

/// `name` begins with one of `prefixes`.
[[nodiscard]] inline bool HasPrefix(std::string_view name, std::span<const std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

[[nodiscard]] inline bool IsOneOf(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace obit
