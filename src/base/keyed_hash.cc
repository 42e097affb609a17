#include "base/keyed_hash.h"

#include <bit>
#include <cstring>

namespace obit {
namespace {

static_assert(std::endian::native == std::endian::little);

struct State {
  std::uint64_t a, b, c, d;

  void Mix(int rounds) {
    for (; rounds > 0; --rounds) {
      a += b;
      b = std::rotl(b, 13) ^ a;
      a = std::rotl(a, 32);
      c += d;
      d = std::rotl(d, 16) ^ c;
      a += d;
      d = std::rotl(d, 21) ^ a;
      c += b;
      b = std::rotl(b, 17) ^ c;
      c = std::rotl(c, 32);
    }
  }
  void Take(std::uint64_t word) {
    d ^= word;
    Mix(2);
    a ^= word;
  }
};

}  // namespace

std::uint64_t KeyedHash(const HashKey& key, std::span<const std::byte> bytes) {
  State state{key.first ^ 0x736f6d6570736575, key.second ^ 0x646f72616e646f6d, key.first ^ 0x6c7967656e657261,
              key.second ^ 0x7465646279746573};
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (; bytes.size() >= sizeof(std::uint64_t); bytes = bytes.subspan(sizeof(std::uint64_t))) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    state.Take(word);
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) last |= static_cast<std::uint64_t>(bytes[i]) << 8 * i;
  state.Take(last);
  state.c ^= 0xff;
  state.Mix(4);
  return state.a ^ state.b ^ state.c ^ state.d;
}

}  // namespace obit
