#include "store/frame_compressor.h"

#include <cstring>

#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Noise;
using testing::Succeeds;

/// Sizes of what `compressor` makes of `plain`, given so many times.
std::vector<std::size_t> Sizes(FrameCompressor& compressor, const Bytes& plain, unsigned times) {
  Bytes frame(ZSTD_compressBound(plain.size()));
  std::vector<std::size_t> sizes;
  for (unsigned i = 0; i < times; ++i) {
    const auto size = compressor.Compress(plain, frame);
    EXPECT_THAT(size, Succeeds());
    sizes.push_back(size.value_or(0));
    Bytes back(plain.size());
    EXPECT_EQ(ZSTD_decompress(back.data(), back.size(), frame.data(), sizes.back()), plain.size());
    EXPECT_EQ(back, plain);
  }
  return sizes;
}

std::size_t SizeAt(int level, const Bytes& plain) {
  Bytes frame(ZSTD_compressBound(plain.size()));
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  return ZSTD_compress2(context.get(), frame.data(), frame.size(), plain.data(), plain.size());
}

/// A pointer among small numbers, as in an array of small structs: the fast level finds as much as level 1.
Bytes Regular() {
  std::vector<std::uint64_t> words(32 * 1024);
  const Bytes noise = Noise(words.size() * 4, 1);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::uint32_t random = 0;
    std::memcpy(&random, &noise[i * 4], 4);
    words[i] = i % 7 == 0 ? 0x7f12'3456'0000 + random % (1U << 27) * 8 : i & 0xff;
  }
  const auto bytes = std::as_bytes(std::span(words));
  return {bytes.begin(), bytes.end()};
}

/// Words of a small vocabulary: the fast level skips over much of it.
Bytes Text() {
  const Bytes words = Noise(std::size_t{7} * 2000, 2), choice = Noise(256 * 1024, 3);
  Bytes bytes;
  for (std::size_t i = 0; bytes.size() < 256 * 1024; i += 2) {
    std::uint16_t index = 0;
    std::memcpy(&index, &choice[i], 2);
    const auto word = words.begin() + index % 2000 * 7;
    bytes.insert(bytes.end(), word, word + 7);
  }
  return bytes;
}

TEST(FrameCompressor, UsesTheFastLevelWhereItLosesLittle) {
  const Bytes plain = Regular();
  const std::size_t normal = SizeAt(FrameCompressor::kLevel, plain);
  const std::size_t fast = SizeAt(FrameCompressor::kFastLevel, plain);
  ASSERT_NE(fast, normal);
  ASSERT_LE(fast, normal + normal / 8);
  FrameCompressor compressor;
  EXPECT_EQ(Sizes(compressor, plain, 3), (std::vector{normal, normal, fast}));
}

TEST(FrameCompressor, StaysAtItsLevelWhereTheFastOneLosesMuch) {
  const Bytes plain = Text();
  const std::size_t normal = SizeAt(FrameCompressor::kLevel, plain);
  ASSERT_GT(SizeAt(FrameCompressor::kFastLevel, plain), normal + normal / 8);
  FrameCompressor compressor;
  EXPECT_EQ(Sizes(compressor, plain, 3), (std::vector{normal, normal, normal}));
}

TEST(FrameCompressor, LearnsAnewWhenTheMemoryChanges) {
  FrameCompressor compressor;
  (void)Sizes(compressor, Regular(), FrameCompressor::kSampleEvery + 1);
  const Bytes plain = Text();
  const std::size_t normal = SizeAt(FrameCompressor::kLevel, plain);
  EXPECT_EQ(Sizes(compressor, plain, 2), (std::vector{normal, normal}));
}

TEST(FrameCompressor, TakesALevelThatFindsMoreWhereThereIsTime) {
  const Bytes plain = Text();
  FrameCompressor compressor(FrameCompressor::Effort::kMore);
  const std::size_t more = SizeAt(FrameCompressor::kMoreLevel, plain);
  ASSERT_LT(more, SizeAt(FrameCompressor::kLevel, plain));
  EXPECT_EQ(Sizes(compressor, plain, 3), (std::vector{more, more, more}));
}

TEST(FrameCompressor, SaysWhenAFrameDoesNotFit) {
  FrameCompressor compressor;
  Bytes frame(10);
  EXPECT_FALSE(compressor.Compress(Noise(1000, 4), frame));
}

}  // namespace
}  // namespace obit
