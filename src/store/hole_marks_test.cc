#include "store/hole_marks.h"

#include <numeric>

#include "store/core_reader.h"
#include "store/core_writer.h"
#include "store/recover.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::FailsWith;
using testing::MemoryFile;
using testing::Noise;
using testing::Succeeds;
using testing::UnpackedByZstd;
using testing::operator+;

constexpr std::uint64_t kTiB = 1ULL << 40;

/// Data, a hole of `hole`, data.
StoredCore Write(const Fd& file, std::uint64_t hole, bool by_length) {
  CoreWriter writer(file, {});
  if (by_length) writer.KeepHolesByLength();
  EXPECT_THAT(writer.Append(Noise(1000, 1)), Succeeds());
  EXPECT_THAT(writer.Skip(hole), Succeeds());
  EXPECT_THAT(writer.Append(Noise(1000, 2)), Succeeds());
  return writer.Finish().value_or(StoredCore{});
}

Result<CoreReader> Reader(const Fd& file) { return CoreReader::Open(Fd(::dup(file.get()))); }

TEST(HoleMarks, ALongHoleCostsAMark) {
  const Fd file = MemoryFile();
  const StoredCore stored = Write(file, 20 * kTiB + 4096, true);
  EXPECT_EQ(stored.plain, 20 * kTiB + 4096 + 2000);
  EXPECT_EQ(stored.omitted, 20 * kTiB + 4096);
  EXPECT_LT(stored.stored, 2400u);
  EXPECT_EQ(UnpackedByZstd(file), Noise(1000, 1) + Noise(1000, 2)) << "zstd leaves the hole out";
  auto reader = Reader(file);
  ASSERT_THAT(reader, Succeeds());
  ASSERT_EQ(reader->size(), stored.plain);
  Bytes out(1100);
  ASSERT_THAT(reader->ReadAt(1000 + stored.omitted - 100, out), ::testing::Optional(out.size()));
  EXPECT_EQ(out, Bytes(100) + Noise(1000, 2));
}

TEST(HoleMarks, AreForHolesBeyondTheBound) {
  for (const std::uint64_t more : {0, 1}) {
    const Fd file = MemoryFile();
    const StoredCore stored = Write(file, kPlainHolesMax + more, false);
    EXPECT_EQ(stored.plain, kPlainHolesMax + more + 2000);
    EXPECT_EQ(stored.omitted, more == 0 ? 0 : kPlainHolesMax + 1);
    EXPECT_LE(stored.stored, more == 0 ? (8u << 20) + 16'384 : 2400u);
    EXPECT_EQ(Reader(file)->size(), stored.plain);
  }
}

TEST(HoleMarks, BeginWhereTheSumPassesTheBound) {
  const Fd file = MemoryFile();
  CoreWriter writer(file, {});
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(writer.Skip(kPlainHolesMax / 2), Succeeds());
    ASSERT_THAT(writer.Append(Noise(10, 1)), Succeeds());
  }
  const auto stored = writer.Finish();
  ASSERT_THAT(stored, Succeeds());
  EXPECT_EQ(stored->omitted, kPlainHolesMax / 2);
  EXPECT_LE(stored->stored, (8u << 20) + 32'768);
  EXPECT_EQ(Reader(file)->size(), kPlainHolesMax / 2 * 3 + 30);
}

TEST(HoleMarks, NoCoreIsLongerThanAFileCanBe) {
  const Fd file = MemoryFile();
  CoreWriter writer(file, {});
  ASSERT_THAT(writer.Skip(kCoreBytesMax), Succeeds());
  EXPECT_THAT(writer.Skip(1), FailsWith(EFBIG));
  EXPECT_THAT(writer.Skip(UINT64_MAX), FailsWith(EFBIG));
  ASSERT_THAT(writer.Append(Noise(1, 1)), Succeeds());
  const auto stored = writer.Finish();
  ASSERT_THAT(stored, Succeeds());
  EXPECT_TRUE(writer.failure());
  EXPECT_EQ(Reader(file)->size(), stored->plain);
}

/// A file that ends as `frames` and `holes` say, with a list that says `listed`.
Fd FileOf(const Bytes& frames, const std::vector<SeekEntry>& entries,
          const std::vector<std::uint64_t>& listed) {
  return MemoryFile(frames + *EncodeEnd(entries, listed));
}
Bytes Mark(std::uint64_t length) {
  Bytes mark;
  AppendHoleMark(mark, length);
  return mark;
}
constexpr SeekEntry kMark{kHoleMarkBytes, 0};

TEST(HoleMarks, ASumBeyondAllFilesIsRefused) {
  const Bytes two = Mark(kCoreBytesMax) + Mark(kCoreBytesMax);
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {kCoreBytesMax, kCoreBytesMax})), FailsWith(EBADMSG));
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {kCoreBytesMax, 1})), FailsWith(EBADMSG));
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {kCoreBytesMax - 1, 1})), Succeeds());
  const Fd file = MemoryFile(two);
  const auto recovered = RecoverCore(file);
  ASSERT_THAT(recovered, Succeeds());
  EXPECT_EQ(recovered->plain, kCoreBytesMax) << "the first one is good";
  EXPECT_THAT(Reader(file), Succeeds());
}

TEST(HoleMarks, AListOfOtherHolesIsRefused) {
  const Bytes two = Mark(5) + Mark(6);
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {5, 6})), Succeeds());
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {5})), FailsWith(EBADMSG));
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {5, 6, 7})), FailsWith(EBADMSG));
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {5, 0})), FailsWith(EBADMSG));
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {5, UINT64_MAX})), FailsWith(EBADMSG));
  EXPECT_THAT(Reader(FileOf(two, {kMark, kMark}, {})), FailsWith(EBADMSG)) << "there is none";
}

TEST(HoleMarks, SkippableFramesOfOthersSayNothing) {
  Bytes other = Mark(5);
  other[8] = std::byte{'x'};  // the first byte that makes it a mark
  const auto reader = Reader(MemoryFile(other + EncodeSeekTable(std::vector{kMark})));
  ASSERT_THAT(reader, Succeeds());
  EXPECT_EQ(reader->size(), 0u);
}

TEST(HoleMarks, NoFlippedBitGivesWrongBytes) {
  const Fd file = MemoryFile();
  Write(file, 4096, true);
  const Bytes stored = Content(file), plain = Noise(1000, 1) + Bytes(4096) + Noise(1000, 2);
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    Bytes other = stored;
    other[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    auto reader = CoreReader::Open(MemoryFile(other));
    if (!reader) continue;
    Bytes out(plain.size() + 1);
    const auto got = reader->ReadAt(0, out);
    if (!got) continue;
    out.resize(*got);
    ASSERT_EQ(out, plain) << "bit " << bit;
  }
}

TEST(HoleMarks, AFileWithAMillionOfThemOpensWithAFewReads) {
  constexpr std::size_t kMany = 1'000'000;
  Bytes frames;
  frames.reserve(kMany * kHoleMarkBytes);
  std::vector<std::uint64_t> holes;
  for (std::size_t i = 0; i < kMany; ++i) {
    holes.push_back(1 + i % 4096);
    AppendHoleMark(frames, holes.back());
  }
  const Fd file = FileOf(frames, std::vector<SeekEntry>(kMany, kMark), holes);
  const auto reads = [] {
    const std::string text = ReadFile("/proc/self/io", 4096)->text;
    return std::stoull(text.substr(text.find("syscr: ") + 7));
  };
  const auto before = reads();
  const auto reader = Reader(file);
  EXPECT_LT(reads() - before, 20u);
  ASSERT_THAT(reader, Succeeds());
  EXPECT_EQ(reader->size(), std::accumulate(holes.begin(), holes.end(), std::uint64_t{0}));
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(frames.size())), 0);
  const auto again = reads();
  EXPECT_THAT(RecoverCore(file), Succeeds());
  EXPECT_LT(reads() - again, 200u);
}

}  // namespace
}  // namespace obit
