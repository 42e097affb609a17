#include "store/seek_table.h"

#include <cstring>

#include <zstd.h>

#include "base/limits.h"
#include "store/core_reader.h"
#include "store/recover.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Child;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::MemoryFile;
using testing::Succeeds;

const std::vector<SeekEntry> kEntries = {{10, 20}, {0xffffffff, 0x40000000}, {8, 0}};
constexpr std::uint64_t kEntriesStored = 10 + 0xffffffffULL + 8;

/// The table of a file that has so many bytes before it.
Result<std::vector<SeekEntry>> Decode(const Bytes& table, std::uint64_t before) {
  const Fd file = MemoryFile();
  OBIT_TRY(WriteAllAt(file, table, before));
  return ReadSeekTable(file, OBIT_TRY(FindSeekTable(file, before + table.size())));
}

TEST(SeekTable, ComesBackAsItWas) {
  const auto entries = Decode(EncodeSeekTable(kEntries), kEntriesStored);
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
  const auto entries = Decode(EncodeSeekTable({}), 0);
  ASSERT_THAT(entries, Succeeds());
  EXPECT_TRUE(entries->empty());
}

TEST(SeekTable, OfAnotherWriterMayHaveChecksums) {
  Bytes table = EncodeSeekTable(std::vector<SeekEntry>{{10, 20}});
  const Bytes checksum(4, std::byte{0x55});
  table.insert(table.end() - kSeekFooterBytes, checksum.begin(), checksum.end());
  table[4] = static_cast<std::byte>(table.size() - 8);
  table[table.size() - 5] = std::byte{0x80};
  const auto entries = Decode(table, 10);
  ASSERT_THAT(entries, Succeeds());
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().plain, 20u);
}

TEST(SeekTable, IsRefusedWhenCutAtEitherEnd) {
  const Bytes table = EncodeSeekTable(kEntries);
  for (std::size_t n = 1; n < table.size(); ++n) {
    EXPECT_THAT(Decode(Bytes(table.begin(), table.end() - n), kEntriesStored), FailsWith(EBADMSG)) << n;
    EXPECT_THAT(Decode(Bytes(table.begin() + n, table.end()), kEntriesStored), FailsWith(EBADMSG)) << n;
  }
}

TEST(SeekTable, HasNoFrameThatIsShorterThanAnyFrame) {
  for (const std::uint32_t stored : {0u, 1u, 7u})
    EXPECT_THAT(Decode(EncodeSeekTable(std::vector<SeekEntry>{{30, 5}, {stored, 0}}), 30 + stored),
                FailsWith(EBADMSG))
        << stored;
}

TEST(SeekTable, IsOfAllThatIsBeforeIt) {
  for (const std::uint64_t before : {kEntriesStored - 1, kEntriesStored + 1})
    EXPECT_THAT(Decode(EncodeSeekTable(kEntries), before), FailsWith(EBADMSG)) << before;
}

TEST(SeekTable, ClaimsNoMoreFramesThanTheFileHasRoomFor) {
  const std::vector<SeekEntry> entries(13, {8, 1});
  const auto refused = Decode(EncodeSeekTable(entries), 12 * 8);
  ASSERT_THAT(refused, FailsWith(EBADMSG));
  EXPECT_THAT(refused.error().what, HasSubstr("13 frames")) << "before they are read";
  EXPECT_THAT(Decode(EncodeSeekTable(entries), 13 * 8), Succeeds());
}

/// A file that is on no disk can claim as much as one of 16 TiB.
TEST(SeekTable, AClaimTakesNoMemory) {
  const std::uint32_t frames = kFramesMax, size = 8 * frames + kSeekFooterBytes;
  Bytes header = EncodeSeekTable({});
  Bytes footer(header.end() - kSeekFooterBytes, header.end());
  header.resize(kSeekHeaderBytes);
  std::memcpy(header.data() + 4, &size, sizeof size);
  std::memcpy(footer.data(), &frames, sizeof frames);
  for (const std::uint64_t before : {std::uint64_t{8}, std::uint64_t{frames} * 300}) {
    const Fd file = MemoryFile();
    ASSERT_THAT(WriteAllAt(file, header, before), Succeeds());
    ASSERT_THAT(WriteAllAt(file, footer, before + size - 1), Succeeds());
    const auto refuses = [&]() noexcept {  // there is no memory to throw anything
      const auto opened = CoreReader::Open(Fd(::dup(file.get())));
      const auto whole = IsWholeCore(file);
      return !opened && opened.error().code == EBADMSG && whole && !*whole;
    };
    Child child(::fork());
    if (child.pid() == 0) ::_exit(LimitAddresses(std::uint64_t{1} << 29) && refuses() ? 0 : 1);
    EXPECT_EQ(child.Wait(), 0) << before;
  }
}

TEST(SeekTable, IsRefusedWithAReservedBit) {
  for (const unsigned bit : {0x04u, 0x08u, 0x10u, 0x20u, 0x40u}) {
    Bytes table = EncodeSeekTable(kEntries);
    table[table.size() - 5] = static_cast<std::byte>(bit);
    EXPECT_THAT(Decode(table, kEntriesStored), FailsWith(EBADMSG)) << bit;
  }
}

}  // namespace
}  // namespace obit
