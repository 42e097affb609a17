#include "store/recover.h"

#include "store/core_reader.h"
#include "store/core_writer.h"
#include "store/hole_marks.h"
#include "store/test_cores.h"
#include "store/test_disk.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::DiskFault;
using testing::FailsWith;
using testing::FileSizeLimit;
using testing::MemoryFile;
using testing::Noise;
using testing::StoredFile;
using testing::Succeeds;
using testing::TemporaryFolder;
using testing::Unpacked;
using testing::operator+;

/// The file of a writer that was killed: whole frames and no table.
Bytes Unfinished(const Bytes& stored) {
  const auto footer = DecodeSeekFooter(std::span(stored).last(kSeekFooterBytes));
  EXPECT_THAT(footer, Succeeds());
  return {stored.begin(), stored.end() - static_cast<std::ptrdiff_t>(footer->table_bytes)};
}

TEST(RecoverCore, MakesAFileGoodAtEveryCut) {
  const Bytes first = Noise(60, 1), second = Noise(40, 2);
  const Fd whole = MemoryFile();
  CoreWriter writer(whole, {});
  ASSERT_THAT(writer.Append(first), Succeeds());
  ASSERT_THAT(writer.Skip(10'000), Succeeds());
  ASSERT_THAT(writer.Append(second), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  const Bytes plain = first + Bytes(10'000) + second;
  const Bytes stored = Content(whole);

  std::uint64_t had = 0;
  for (std::size_t cut = 0; cut <= stored.size(); ++cut) {
    const Fd file = MemoryFile(std::span(stored).first(cut));
    const auto recovered = RecoverCore(file);
    ASSERT_THAT(recovered, Succeeds()) << cut;
    EXPECT_EQ(recovered->stored, Content(file).size()) << cut;
    const Bytes got = Unpacked(file);
    ASSERT_EQ(got.size(), recovered->plain) << cut;
    ASSERT_TRUE(std::ranges::equal(got, std::span(plain).first(got.size()))) << cut;
    EXPECT_GE(recovered->plain, had) << "a longer file gave less, at " << cut;
    had = recovered->plain;
  }
  EXPECT_EQ(had, plain.size());
}

TEST(RecoverCore, LeavesAWholeFileAsItIs) {
  const Fd file = StoredFile(Noise(3 * kFrameBytes, 1) + Bytes(2 * kFrameBytes) + Noise(100, 2));
  const Bytes before = Content(file);
  // On a full disk what is cut off might not fit again.
  ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
  const auto recovered = RecoverCore(file);
  ASSERT_THAT(recovered, Succeeds());
  EXPECT_EQ(recovered->stored, before.size());
  EXPECT_EQ(Content(file), before);
}

TEST(IsWholeCore, TellsWhetherItsWriterCameToTheEnd) {
  const Bytes stored = Content(StoredFile(Noise(3 * kFrameBytes, 1) + Bytes(2 * kFrameBytes)));
  EXPECT_TRUE(*IsWholeCore(MemoryFile(stored)));
  for (std::size_t cut : {std::size_t{0}, std::size_t{5}, stored.size() / 2, stored.size() - 1})
    EXPECT_FALSE(*IsWholeCore(MemoryFile(std::span(stored).first(cut)))) << cut;
  EXPECT_FALSE(*IsWholeCore(MemoryFile(Unfinished(stored))));
  EXPECT_FALSE(*IsWholeCore(MemoryFile(Bytes(100) + stored))) << "its table is of another file";
  EXPECT_FALSE(*IsWholeCore(StoredFile({}))) << "there is no core";
}

TEST(RecoverCore, KeepsAllFramesOfAWriterThatWasDropped) {
  const Bytes plain = Noise(6 * kFrameBytes, 1);
  const Fd file = MemoryFile();
  {
    CoreWriter writer(file, {});
    ASSERT_THAT(writer.Append(plain), Succeeds());
  }
  EXPECT_THAT(CoreReader::Open(Fd(::dup(file.get()))), FailsWith(EBADMSG));
  const auto recovered = RecoverCore(file);
  ASSERT_THAT(recovered, Succeeds());
  EXPECT_EQ(recovered->plain, plain.size());
  EXPECT_EQ(Unpacked(file), plain);
}

/// What RecoverCore makes of a file that a killed writer left on a disk without room for its table.
StoredCore RecoveredOnAFullDisk(const Bytes& stored, Bytes& plain) {
  const TemporaryFolder folder;
  const auto file = OpenAt(folder.fd(), "core.zst", O_RDWR | O_CREAT, 0600);
  const Bytes begun = Unfinished(stored);
  EXPECT_THAT(WriteAll(*file, begun), Succeeds());
  const FileSizeLimit full(begun.size() + 10);
  const auto recovered = RecoverCore(*file);
  EXPECT_THAT(recovered, Succeeds());
  if (!recovered) return {};
  plain = Unpacked(*file);
  EXPECT_EQ(Content(*file).size(), recovered->stored);
  EXPECT_EQ(plain.size(), recovered->plain);
  return *recovered;
}

TEST(RecoverCore, AFullDiskCostsNoMoreThanTheEndOfTheCore) {
  const Bytes plain = Noise(3 * kFrameBytes, 1);
  Bytes left;
  const StoredCore large = RecoveredOnAFullDisk(Content(StoredFile(plain)), left);
  EXPECT_EQ(large.plain, 2 * kFrameBytes) << "the last frame makes room for table and record";
  EXPECT_EQ(left, Bytes(plain.begin(), plain.begin() + 2 * kFrameBytes));

  const Fd file = MemoryFile();
  CoreWriter writer(file, {});
  const auto beginning = std::span(plain).first(1000);
  ASSERT_THAT(writer.Append(beginning), Succeeds());
  ASSERT_THAT(writer.Skip(1 << 20), Succeeds());
  ASSERT_THAT(writer.Append(beginning), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  ASSERT_GE(RecoveredOnAFullDisk(Content(file), left).plain, 1000u) << "less than a record takes";
  EXPECT_TRUE(std::ranges::equal(beginning, std::span(left).first(1000)));
}

TEST(RecoverCore, ShowsItsProgress) {
  std::atomic<std::uint64_t> progress = 0;
  const auto recovered = RecoverCore(StoredFile(Noise(6 * kFrameBytes, 1)), FrameCheck::kShape, &progress);
  ASSERT_THAT(recovered, Succeeds());
  EXPECT_GT(progress, recovered->stored / 2);
}

TEST(RecoverCore, CutsWhatIsNoFrame) {
  // What a power cut leaves where blocks were not yet written, and other garbage.
  for (const Bytes& tail : {Bytes(5000), Noise(5000, 9), Bytes(3, std::byte{0x28})}) {
    const Bytes plain = Noise(1000, 1);
    const Fd file = MemoryFile(Unfinished(Content(StoredFile(plain))) + tail);
    const auto recovered = RecoverCore(file);
    ASSERT_THAT(recovered, Succeeds());
    EXPECT_EQ(Unpacked(file), plain);
  }
}

TEST(RecoverCore, CutsWhatIsDamagedIfItLooksAtTheContent) {
  // A power cut leaves a file as long as it was, but for a page that was not yet written.
  constexpr std::size_t kPage = 4096;
  const Bytes plain = Noise(3 * kFrameBytes, 1);
  Bytes stored = Unfinished(Content(StoredFile(plain)));
  std::fill_n(stored.begin() + kFrameBytes + 2 * kPage, kPage, std::byte{0});
  const Fd file = MemoryFile(stored);
  const Fd shape = MemoryFile(stored);
  const auto shaped = RecoverCore(shape);
  ASSERT_THAT(shaped, Succeeds());
  EXPECT_EQ(shaped->plain, plain.size()) << "it has the shape of a whole one";
  const auto recovered = RecoverCore(file, FrameCheck::kContent);
  ASSERT_THAT(recovered, Succeeds());
  EXPECT_EQ(recovered->plain, kFrameBytes);
  EXPECT_EQ(Unpacked(file), Bytes(plain.begin(), plain.begin() + kFrameBytes));
}

TEST(RecoverCore, LeavesAFileAloneWhoseTableLeadsBehindTheDamage) {
  const Bytes plain = Noise(3 * kFrameBytes, 1);
  const Bytes stored = Content(StoredFile(plain));
  for (const std::size_t damage : {kFrameBytes / 2, kFrameBytes + 9000, kFrameBytes + 13}) {
    const bool header = damage == kFrameBytes + 13;  // the next frame begins a little before: no shape either
    Bytes damaged = stored;
    std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(damage), 100, std::byte{0});
    const Fd file = MemoryFile(damaged);
    const auto recovered = RecoverCore(file, header ? FrameCheck::kShape : FrameCheck::kContent);
    ASSERT_THAT(recovered, Succeeds());
    ASSERT_TRUE(recovered->damaged) << damage;
    EXPECT_EQ(recovered->damaged->what,
              fmt::format("it is damaged behind its first {} bytes", damage < kFrameBytes ? 0 : kFrameBytes));
    EXPECT_EQ(recovered->plain, plain.size());
    EXPECT_EQ(recovered->stored, stored.size());
    EXPECT_EQ(Content(file), damaged);
    auto opened = OpenStoredCore(Fd(::dup(file.get())));
    ASSERT_THAT(opened, Succeeds());
    Bytes last(kFrameBytes);
    EXPECT_THAT(opened->reader.ReadAt(2 * kFrameBytes, last), Succeeds());
    EXPECT_TRUE(std::ranges::equal(last, std::span(plain).last(kFrameBytes)));
  }
}

TEST(RecoverCore, CutsNothingForWantOfMemory) {
  const Bytes stored = Unfinished(Content(StoredFile(Noise(3 * kFrameBytes, 1))));
  const Fd file = MemoryFile(stored);
  {
    const DiskFault fault({.lacks_memory = true});
    EXPECT_THAT(RecoverCore(file, FrameCheck::kContent), FailsWith(ENOMEM));
    EXPECT_THAT(OpenStoredCore(Fd(::dup(file.get()))), FailsWith(ENOMEM));
  }
  EXPECT_EQ(Content(file), stored);
}

TEST(RecoverCore, FindsTheLargestHoleFrame) {
  const Fd whole = MemoryFile();
  CoreWriter writer(whole, {});
  ASSERT_THAT(writer.Skip(2 * kHoleFrameBytes), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  const Fd file = MemoryFile(Unfinished(Content(whole)));
  const auto recovered = RecoverCore(file);
  ASSERT_THAT(recovered, Succeeds());
  EXPECT_EQ(recovered->plain, 2 * kHoleFrameBytes);
}

}  // namespace
}  // namespace obit
