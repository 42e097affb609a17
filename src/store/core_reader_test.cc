#include "store/core_reader.h"

#include <algorithm>

#include <zstd.h>

#include "store/recover.h"
#include "store/seekable.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::FailsWith;
using testing::MemoryFile;
using testing::Noise;
using testing::StoredFile;
using testing::Succeeds;
using testing::operator+;

/// Data, a hole that fills frames, data that begins and ends inside a frame.
Bytes SampleCore() {
  return Noise(kFrameBytes + 100, 1) + Bytes(2 * kFrameBytes) + Noise(2 * kFrameBytes - 7, 2);
}

Result<Bytes> ReadAll(const Bytes& stored) {
  auto reader = OBIT_TRY(CoreReader::Open(MemoryFile(stored)));
  // A hostile table may claim any size.
  Bytes plain(static_cast<std::size_t>(std::min<std::uint64_t>(reader.size(), 1 << 20)));
  plain.resize(OBIT_TRY(reader.ReadAt(0, plain)));
  return plain;
}

TEST(CoreReader, GivesEveryRange) {
  const Bytes plain = SampleCore();
  auto reader = CoreReader::Open(StoredFile(plain));
  ASSERT_THAT(reader, Succeeds());
  ASSERT_EQ(reader->size(), plain.size());
  std::vector<std::uint64_t> offsets = {0, 1, 99};
  for (std::uint64_t frame = 1; frame <= 5; ++frame)
    for (const std::uint64_t border : {frame * kFrameBytes, frame * kFrameBytes + 100})
      for (const std::uint64_t at : {border - 1, border, border + 1})
        if (at < plain.size()) offsets.push_back(at);
  offsets.push_back(plain.size() - 1);
  for (const std::uint64_t offset : offsets) {
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{4096},
                                     kFrameBytes, kFrameBytes + 1, 3 * kFrameBytes, plain.size()}) {
      Bytes out(length, std::byte{0xaa});
      const auto got = reader->ReadAt(offset, out);
      ASSERT_THAT(got, Succeeds());
      ASSERT_EQ(*got, std::min<std::uint64_t>(length, plain.size() - offset)) << offset << " " << length;
      ASSERT_TRUE(std::ranges::equal(std::span(out).first(*got), std::span(plain).subspan(offset, *got)))
          << offset << " " << length;
    }
  }
}

TEST(CoreReader, GivesNothingPastTheEnd) {
  const Bytes plain = Noise(1000, 1);
  auto reader = CoreReader::Open(StoredFile(plain));
  ASSERT_THAT(reader, Succeeds());
  Bytes out(10);
  for (const std::uint64_t offset : {std::uint64_t{1000}, std::uint64_t{1001}, UINT64_MAX - 5, UINT64_MAX})
    EXPECT_THAT(reader->ReadAt(offset, out), ::testing::Optional(std::size_t{0})) << offset;
}

TEST(CoreReader, WalksOverAllInOrderWithoutGaps) {
  const Bytes plain = SampleCore();
  auto reader = CoreReader::Open(StoredFile(plain));
  ASSERT_THAT(reader, Succeeds());
  Bytes seen;
  std::uint64_t holes = 0;
  const auto walked = reader->Walk([&](const CoreReader::Piece& piece) -> Result<void> {
    EXPECT_EQ(piece.offset, seen.size());
    if (piece.hole())
      holes += piece.length;
    else
      EXPECT_EQ(piece.length, piece.bytes.size());
    seen = std::move(seen) +
           (piece.hole() ? Bytes(piece.length) : Bytes(piece.bytes.begin(), piece.bytes.end()));
    return {};
  });
  ASSERT_THAT(walked, Succeeds());
  EXPECT_EQ(seen, plain);
  EXPECT_GE(holes, kFrameBytes);
}

TEST(CoreReader, StopsWalkingWhenTheVisitorFails) {
  auto reader = CoreReader::Open(StoredFile(Noise(3 * kFrameBytes, 1)));
  ASSERT_THAT(reader, Succeeds());
  int visits = 0;
  const auto walked = reader->Walk([&](const CoreReader::Piece&) -> Result<void> {
    ++visits;
    return Fail(EPIPE, "write");
  });
  EXPECT_THAT(walked, FailsWith(EPIPE));
  EXPECT_EQ(visits, 1);
}

TEST(CoreReader, ReadsTheFormatOfOtherWriters) {
  // Larger frames, no checksums in them, empty frames between.
  const Bytes plain = Noise(3 << 20, 1);
  Bytes stored(ZSTD_compressBound(plain.size()));
  stored.resize(ZSTD_compress(stored.data(), stored.size(), plain.data(), plain.size(), 3));
  const auto size = static_cast<std::uint32_t>(stored.size());
  Bytes empty(64);
  empty.resize(ZSTD_compress(empty.data(), empty.size(), nullptr, 0, 3));
  const auto none = static_cast<std::uint32_t>(empty.size());
  const Bytes table = EncodeSeekTable(std::vector<SeekEntry>{
      {none, 0}, {size, static_cast<std::uint32_t>(plain.size())}, {none, 0}, {none, 0}});
  auto reader = CoreReader::Open(MemoryFile(empty + stored + empty + empty + table));
  ASSERT_THAT(reader, Succeeds());
  Bytes out(plain.size());
  ASSERT_THAT(reader->ReadAt(0, out), ::testing::Optional(plain.size()));
  EXPECT_EQ(out, plain);
}

TEST(CoreReader, RefusesEveryTruncation) {
  const Bytes stored = Content(StoredFile(Noise(300, 1)));
  for (std::size_t n = 0; n < stored.size(); ++n)
    EXPECT_THAT(CoreReader::Open(MemoryFile(std::span(stored).first(n))), FailsWith(EBADMSG)) << n;
}

TEST(CoreReader, NeverGivesWrongBytesForAFlippedBit) {
  const Bytes plain = Noise(300, 1);
  const Bytes stored = Content(StoredFile(plain));
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    Bytes other = stored;
    other[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto got = ReadAll(other);
    // A bit that says nothing about the content may be any; what is read is right or refused.
    if (got)
      EXPECT_EQ(*got, plain) << "bit " << bit;
    else
      EXPECT_EQ(got.error().code, EBADMSG) << "bit " << bit;
  }
}

/// A core with a hole of `hole` bytes, 1 GiB to 2, as older versions stored it if its second part is within
/// 128 KiB of 1 GiB: both parts are the same frame.
struct OldCore {
  Bytes plain_ends, frames, table;
};
OldCore StoredLikeBefore(std::uint64_t hole) {
  const Bytes data = Noise(5000, 7);
  const Bytes stored = Content(StoredFile(data));
  const Bytes frame(stored.begin(), stored.end() - 8 - 8 - kSeekFooterBytes);
  Bytes whole;
  AppendHoleFrame(whole, kHoleFrameBytes);
  const auto size = static_cast<std::uint32_t>(frame.size()),
             of_hole = static_cast<std::uint32_t>(whole.size());
  return {
      data, frame + whole + whole + frame,
      EncodeSeekTable(std::vector<SeekEntry>{{size, 5000},
                                             {of_hole, kHoleFrameBytes},
                                             {of_hole, static_cast<std::uint32_t>(hole - kHoleFrameBytes)},
                                             {size, 5000}})};
}

TEST(CoreReader, ReadsAHoleThatWasStoredLongerThanItIs) {
  for (const std::uint64_t missing : {4096, 31 * 4096, 128 * 1024 - 1}) {
    const std::uint64_t hole = 2 * kHoleFrameBytes - missing;
    const OldCore old = StoredLikeBefore(hole);
    const Fd file = MemoryFile(old.frames + old.table);
    for (const bool recovered : {false, true}) {
      if (recovered) {
        ASSERT_THAT(RecoverCore(file), Succeeds());
      }
      auto reader = CoreReader::Open(Fd(::dup(file.get())));
      ASSERT_THAT(reader, Succeeds());
      ASSERT_EQ(reader->size(), 5000 + hole + 5000);
      Bytes out(5000 + 100);
      ASSERT_THAT(reader->ReadAt(5000 + hole - 100, out), ::testing::Optional(out.size()));
      EXPECT_EQ(out, Bytes(100) + old.plain_ends) << missing << (recovered ? ", recovered" : "");
    }
  }
}

TEST(CoreReader, RefusesAHoleThatIsMuchShorterThanItsFrame) {
  const OldCore old = StoredLikeBefore(2 * kHoleFrameBytes - 128 * 1024);
  auto reader = CoreReader::Open(MemoryFile(old.frames + old.table));
  ASSERT_THAT(reader, Succeeds());
  Bytes out(10);
  EXPECT_THAT(reader->ReadAt(5000 + kHoleFrameBytes, out), FailsWith(EBADMSG));
}

TEST(CheckNotShifted, RefusesACoreThatIsLongerThanItsHeadersSay) {
  CrashRecord::Capture capture;
  capture.method = CaptureMethod::kDirect;
  capture.core_bytes = 2 * kHoleFrameBytes;
  EXPECT_THAT(CheckNotShifted(capture), Succeeds()) << "what was promised is not known";
  capture.promised_bytes = capture.core_bytes;
  EXPECT_THAT(CheckNotShifted(capture), Succeeds());
  --*capture.promised_bytes;
  EXPECT_THAT(CheckNotShifted(capture), FailsWith(EBADMSG));
  capture.method = CaptureMethod::kImport;
  EXPECT_THAT(CheckNotShifted(capture), Succeeds());
}

TEST(CoreReader, RefusesATableOfAnotherFile) {
  const Bytes one = Content(StoredFile(Noise(300, 1))), other = Content(StoredFile(Noise(5000, 2)));
  const std::size_t table = 8 + 8 + kSeekFooterBytes;  // of one frame
  const Bytes mixed = Bytes(one.begin(), one.end() - table) + Bytes(other.end() - table, other.end());
  EXPECT_THAT(CoreReader::Open(MemoryFile(mixed)), FailsWith(EBADMSG));
}

TEST(CoreReader, RefusesATableThatIsLargerThanTheFile) {
  Bytes table = EncodeSeekTable({});
  for (const std::uint32_t frames : {1u, 1000u, static_cast<unsigned>(kFramesMax), UINT32_MAX}) {
    std::memcpy(table.data() + table.size() - kSeekFooterBytes, &frames, sizeof frames);
    EXPECT_THAT(CoreReader::Open(MemoryFile(table)), FailsWith(EBADMSG)) << frames;
  }
}

TEST(CoreReader, RefusesAFrameWithAnotherSizeThanTheTableSays) {
  const Bytes stored = Content(StoredFile(Noise(300, 1)));
  const std::size_t at = stored.size() - kSeekFooterBytes - 4;  // of the plain size in the only entry
  for (const std::uint32_t plain : {1u, 299u, 301u, 64u << 20, UINT32_MAX}) {
    Bytes other = stored;
    std::memcpy(other.data() + at, &plain, sizeof plain);
    EXPECT_THAT(ReadAll(other), FailsWith(EBADMSG)) << plain;
  }
}

TEST(CoreReader, RefusesAFileThatWasShortenedAfterItWasOpened) {
  const Fd file = StoredFile(Noise(2 * kFrameBytes, 1));
  auto reader = CoreReader::Open(Fd(::dup(file.get())));
  ASSERT_THAT(reader, Succeeds());
  Bytes out(kFrameBytes);
  ASSERT_THAT(reader->ReadAt(0, out), Succeeds());
  ASSERT_EQ(::ftruncate(file.get(), 100), 0);
  EXPECT_THAT(reader->ReadAt(kFrameBytes, out), FailsWith(EBADMSG));
}

}  // namespace
}  // namespace obit
