#include "store/seekable.h"

#include <cstring>

#include <zstd.h>

#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::FailsWith;
using testing::Succeeds;

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

const std::vector<SeekEntry> kEntries = {{10, 20}, {0xffffffff, 0x40000000}, {1, 0}};

Result<std::vector<SeekEntry>> Decode(const Bytes& table) {
  if (table.size() < kSeekFooterBytes) return Refuse(EBADMSG, "short");
  const auto footer = OBIT_TRY(DecodeSeekFooter(std::span(table).last(kSeekFooterBytes)));
  return DecodeSeekTable(table, footer);
}

TEST(SeekTable, ComesBackAsItWas) {
  const auto entries = Decode(EncodeSeekTable(kEntries));
  ASSERT_THAT(entries, Succeeds());
  ASSERT_EQ(entries->size(), kEntries.size());
  for (std::size_t i = 0; i < kEntries.size(); ++i) {
    EXPECT_EQ((*entries)[i].stored, kEntries[i].stored);
    EXPECT_EQ((*entries)[i].plain, kEntries[i].plain);
  }
}

TEST(SeekTable, IsSkippedByPlainZstd) {
  const Bytes table = EncodeSeekTable(kEntries);
  EXPECT_EQ(ZSTD_findFrameCompressedSize(table.data(), table.size()), table.size());
  Bytes nothing(1);
  EXPECT_EQ(ZSTD_decompress(nothing.data(), nothing.size(), table.data(), table.size()), 0u);
}

TEST(SeekTable, MayBeEmpty) {
  const auto entries = Decode(EncodeSeekTable({}));
  ASSERT_THAT(entries, Succeeds());
  EXPECT_TRUE(entries->empty());
}

TEST(SeekTable, OfAnotherWriterMayHaveChecksums) {
  Bytes table = EncodeSeekTable(std::vector<SeekEntry>{{10, 20}});
  const Bytes checksum(4, std::byte{0x55});
  table.insert(table.end() - kSeekFooterBytes, checksum.begin(), checksum.end());
  table[4] = static_cast<std::byte>(table.size() - 8);
  table[table.size() - 5] = std::byte{0x80};
  const auto entries = Decode(table);
  ASSERT_THAT(entries, Succeeds());
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().plain, 20u);
}

TEST(SeekTable, IsRefusedWhenCutAtEitherEnd) {
  const Bytes table = EncodeSeekTable(kEntries);
  for (std::size_t n = 1; n < table.size(); ++n) {
    EXPECT_THAT(Decode(Bytes(table.begin(), table.end() - n)), FailsWith(EBADMSG)) << n;
    EXPECT_THAT(Decode(Bytes(table.begin() + n, table.end())), FailsWith(EBADMSG)) << n;
  }
}

TEST(SeekFooter, MayNotHaveMoreFramesThanTheFormatAllows) {
  const Bytes table = EncodeSeekTable({});
  Bytes footer(table.end() - kSeekFooterBytes, table.end());
  for (const std::uint32_t frames : {std::uint32_t{kFramesMax}, std::uint32_t{kFramesMax + 1}, UINT32_MAX}) {
    std::memcpy(footer.data(), &frames, sizeof frames);
    EXPECT_EQ(DecodeSeekFooter(footer).has_value(), frames == kFramesMax) << frames;
  }
}

TEST(SeekTable, HasNoFrameWithoutAByte) {
  EXPECT_THAT(Decode(EncodeSeekTable(std::vector<SeekEntry>{{10, 5}, {0, 0}})), FailsWith(EBADMSG));
}

TEST(SeekTable, IsRefusedWithAReservedBit) {
  for (const unsigned bit : {0x04u, 0x08u, 0x10u, 0x20u, 0x40u}) {
    Bytes table = EncodeSeekTable(kEntries);
    table[table.size() - 5] = static_cast<std::byte>(bit);
    EXPECT_THAT(Decode(table), FailsWith(EBADMSG)) << bit;
  }
}

}  // namespace
}  // namespace obit
