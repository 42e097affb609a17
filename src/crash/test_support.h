#pragma once

// What the tests of records and reports share. Included by tests only.

#include <cstdint>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <string_view>

namespace obit::testing {

/// Values that a field can hold, with a liking for odd ones; the same for each seed.
class RandomValues {
 public:
  explicit RandomValues(std::uint64_t seed) : random_(seed) {}

 protected:
  bool Coin() { return random_() % 2 == 0; }
  /// Years 1684 to 2255, ns since 1970.
  std::int64_t Time() {
    return std::uniform_int_distribution<std::int64_t>(-9'000'000'000'000'000'000,
                                                       9'000'000'000'000'000'000)(random_);
  }
  std::string Text() {
    static constexpr std::string_view kPieces[] = {
        "\\", "\\x41",   "\\\\x", "\xff",         "\xc3\xa4", "\xe2\x80\xae",     "\n",
        "\"", "\x1b[2J", "a",     "\xed\xa0\x80", "/usr/bin", "\n \"crashed\": {"};
    std::string text;
    for (std::uint64_t n = random_() % 6; n > 0; --n) {
      text += kPieces[random_() % std::size(kPieces)];
      text += static_cast<char>(random_());  // NUL too
    }
    return text;
  }
  template <class T>
  T Number() {
    constexpr T kEdges[] = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), 0, 1};
    return Coin() ? kEdges[random_() % 4] : static_cast<T>(random_());
  }

  std::mt19937_64 random_;
};

}  // namespace obit::testing
