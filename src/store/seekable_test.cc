#include "store/seekable.h"

#include <cstring>

#include <zstd.h>

#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;

Bytes HoleFrame(std::uint64_t plain) {
  Bytes frame;
  AppendHoleFrame(frame, plain);
  return frame;
}

class HoleFrameOf : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(, HoleFrameOf,
                         ::testing::Values(1, 4095, 4096, 131071, 131072, 131073, kFrameBytes,
                                           3 * kFrameBytes + 1));

TEST_P(HoleFrameOf, UnpacksToZerosWithPlainZstd) {
  const Bytes frame = HoleFrame(GetParam());
  Bytes plain(GetParam() + 1, std::byte{0xaa});
  ASSERT_EQ(ZSTD_decompress(plain.data(), plain.size(), frame.data(), frame.size()), GetParam());
  plain.pop_back();
  EXPECT_EQ(plain, Bytes(GetParam()));
}

TEST_P(HoleFrameOf, HasTheSizeThatIsSaid) {
  EXPECT_EQ(HoleFrame(GetParam()).size(), HoleFrameSize(GetParam()));
}

TEST_P(HoleFrameOf, IsKnownAsOne) { EXPECT_TRUE(IsHoleFrame(HoleFrame(GetParam()), GetParam())); }

TEST(HoleFrame, OfTheLargestSizeIsOneFrameOf32KiB) {
  const Bytes frame = HoleFrame(kHoleFrameBytes);
  EXPECT_EQ(frame.size(), 32782u);
  EXPECT_EQ(ZSTD_findFrameCompressedSize(frame.data(), frame.size()), frame.size());
  EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), kHoleFrameBytes);
}

TEST(HoleFrame, IsNotKnownWithAnyBitFlipped) {
  const Bytes frame = HoleFrame(kFrameBytes + 1);
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    Bytes other = frame;
    other[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(IsHoleFrame(other, kFrameBytes + 1)) << "bit " << bit;
  }
}

TEST(HoleFrame, IsNotKnownByAnotherSize) {
  EXPECT_FALSE(IsHoleFrame(HoleFrame(4096), 4097));
  EXPECT_FALSE(IsHoleFrame({}, 0));
}

TEST(HoleFrame, IsNoFrameThatLibzstdMakesOfZeros) {
  const Bytes zeros(kFrameBytes);
  Bytes frame(ZSTD_compressBound(zeros.size()));
  frame.resize(ZSTD_compress(frame.data(), frame.size(), zeros.data(), zeros.size(), 1));
  EXPECT_FALSE(IsHoleFrame(frame, zeros.size()));
}

TEST(SeekFooter, MayNotHaveMoreFramesThanTheFormatAllows) {
  const Bytes table = EncodeSeekTable({});
  Bytes footer(table.end() - kSeekFooterBytes, table.end());
  for (const std::uint32_t frames : {std::uint32_t{kFramesMax}, std::uint32_t{kFramesMax + 1}, UINT32_MAX}) {
    std::memcpy(footer.data(), &frames, sizeof frames);
    EXPECT_EQ(DecodeSeekFooter(footer).has_value(), frames == kFramesMax) << frames;
  }
}

}  // namespace
}  // namespace obit
