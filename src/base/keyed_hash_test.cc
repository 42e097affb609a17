#include "base/keyed_hash.h"

#include <array>

#include <gtest/gtest.h>

namespace obit {
namespace {

/// The key and the texts of the reference's vectors (vectors.h, vectors_sip64): 0, 1, 2, ...
TEST(KeyedHash, IsSipHash) {
  constexpr HashKey kKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::array<std::byte, 15> text{};
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::byte>(i);
  EXPECT_EQ(KeyedHash(kKey, {}), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(KeyedHash(kKey, std::span(text).first(1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(KeyedHash(kKey, std::span(text).first(8)), 0x93f5f5799a932462u);
  EXPECT_EQ(KeyedHash(kKey, text), 0xa129ca6149be45e5u);
}

TEST(KeyedHash, IsAnotherWithAnotherKey) {
  EXPECT_NE(KeyedHash({1, 0}, {}), KeyedHash({}, {}));
  EXPECT_NE(KeyedHash({0, 1}, {}), KeyedHash({}, {}));
}

}  // namespace
}  // namespace obit
