// A disk that fails costs the frames that it has no more than it must.

#include "store/core_reader.h"
#include "store/core_writer.h"
#include "store/hole_marks.h"
#include "store/recover.h"
#include "store/test_cores.h"
#include "store/test_disk_calls.h"

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

constexpr std::size_t kFrames = 16;

/// All that OpenStoredCore gives of a file without a table.
Bytes UnpackedByFrames(const Fd& file) {
  auto opened = OpenStoredCore(Fd(::dup(file.get())));
  EXPECT_THAT(opened, Succeeds());
  if (!opened) return {};
  EXPECT_FALSE(opened->has_table);
  Bytes plain(opened->reader.size());
  EXPECT_THAT(opened->reader.ReadAt(0, plain), Succeeds());
  return plain;
}

class BadDiskTest : public ::testing::Test {
 protected:
  [[nodiscard]] Bytes First(std::uint64_t bytes) const {
    return {plain_.begin(), plain_.begin() + static_cast<std::ptrdiff_t>(bytes)};
  }

  const Bytes plain_ = Noise(kFrames * kFrameBytes, 1);
  const Bytes stored_ = Content(StoredFile(plain_));
  const std::size_t table_ = DecodeSeekFooter(std::span(stored_).last(kSeekFooterBytes))->table_bytes;
  const Bytes unfinished_{stored_.begin(), stored_.end() - static_cast<std::ptrdiff_t>(table_)};
  const TemporaryFolder folder_;
  const Fd file_ = *OpenAt(folder_.fd(), "core.zst", O_RDWR | O_CREAT, 0600);
};

TEST_F(BadDiskTest, AWriterCutsAgainWhereOthersTakeWhatItFrees) {
  const FileSizeLimit full((kFrames - 1) * kFrameBytes);
  const DiskFault fault({.thieves = 2});
  CoreWriter writer(file_, {});
  (void)writer.Append(plain_);
  const auto finished = writer.Finish();
  ASSERT_THAT(finished, Succeeds());
  EXPECT_TRUE(finished->has_table);
  EXPECT_EQ(finished->plain, (kFrames - 5) * kFrameBytes) << "three frames, and those that had no room";
  EXPECT_EQ(Unpacked(file_), First(finished->plain));
}

TEST_F(BadDiskTest, AWriterGivesThoseWhoFillItNoMoreThanSomeFrames) {
  const FileSizeLimit full((kFrames - 1) * kFrameBytes);
  const DiskFault fault({.thieves = 1000});
  CoreWriter writer(file_, {});
  (void)writer.Append(plain_);
  const auto finished = writer.Finish();
  ASSERT_THAT(finished, Succeeds());
  EXPECT_FALSE(finished->has_table);
  EXPECT_TRUE(writer.failure());
  EXPECT_EQ(finished->plain, (kFrames - 2 - kCutsMax) * kFrameBytes);
  EXPECT_EQ(UnpackedByFrames(file_), First(finished->plain));
}

TEST_F(BadDiskTest, AWriterCutsNoMoreWhereAFileIsNotShortenedAtOnce) {
  for (const int failing : {0, 1}) {
    ASSERT_EQ(::ftruncate(file_.get(), 0), 0);
    const FileSizeLimit full((kFrames - 1) * kFrameBytes);
    const DiskFault fault({.failing_cuts = failing});
    CoreWriter writer(file_, {});
    (void)writer.Append(plain_);
    const auto finished = writer.Finish();
    ASSERT_THAT(finished, Succeeds());
    EXPECT_TRUE(finished->has_table);
    EXPECT_EQ(finished->plain, (kFrames - 3) * kFrameBytes);
  }
}

TEST_F(BadDiskTest, AWriterKeepsAllFramesWhereTheTableCannotBeWritten) {
  for (const int error : {EIO, ESTALE, ENOMEM}) {
    const DiskFault fault({.refuses_tables = true, .table_error = error});
    CoreWriter writer(file_, {});
    ASSERT_THAT(writer.Append(plain_), Succeeds());
    const auto finished = writer.Finish();
    ASSERT_THAT(finished, Succeeds());
    EXPECT_FALSE(finished->has_table);
    EXPECT_EQ(finished->plain, plain_.size());
    EXPECT_EQ(finished->stored, unfinished_.size());
    EXPECT_EQ(writer.failure()->code, error);
    EXPECT_EQ(UnpackedByFrames(file_), plain_);
  }
}

TEST_F(BadDiskTest, ARecoveryGivesThoseWhoFillItNoMoreThanSomeFrames) {
  for (const int thieves : {2, 1000}) {
    ASSERT_THAT(WriteAllAt(file_, unfinished_, 0), Succeeds());
    const FileSizeLimit full(unfinished_.size() + 10);
    const DiskFault fault({.thieves = thieves});
    const auto recovered = RecoverCore(file_);
    ASSERT_THAT(recovered, Succeeds());
    EXPECT_EQ(recovered->has_table, thieves == 2);
    EXPECT_EQ(recovered->plain, (kFrames - (thieves == 2 ? 2 : kCutsMax)) * kFrameBytes);
    EXPECT_EQ(thieves == 2 ? Unpacked(file_) : UnpackedByFrames(file_), First(recovered->plain));
  }
}

TEST_F(BadDiskTest, ARecoveryKeepsAllFramesWhereTheTableCannotBeWritten) {
  for (const int error : {EIO, ESTALE, ENOMEM}) {
    ASSERT_THAT(WriteAllAt(file_, unfinished_, 0), Succeeds());
    const DiskFault fault({.refuses_tables = true, .table_error = error});
    const auto recovered = RecoverCore(file_);
    ASSERT_THAT(recovered, Succeeds());
    EXPECT_FALSE(recovered->has_table);
    EXPECT_EQ(Content(file_), unfinished_);
  }
}

TEST_F(BadDiskTest, ABadSectorBehindAFrameCostsNothingOfWhatFollows) {
  const Fd file = MemoryFile(unfinished_);
  {
    const DiskFault fault({.bad_begin = 2 * kFrameBytes + 9000, .bad_end = 2 * kFrameBytes + 9001});
    const auto recovered = RecoverCore(file);
    ASSERT_THAT(recovered, Succeeds());
    EXPECT_EQ(recovered->plain, 2 * kFrameBytes);
    EXPECT_EQ(recovered->stored, unfinished_.size()) << "the file stays as it is";
    EXPECT_FALSE(recovered->has_table);
    ASSERT_TRUE(recovered->unreadable);
    EXPECT_EQ(recovered->unreadable->code, EIO);
    const auto opened = OpenStoredCore(Fd(::dup(file.get())));
    ASSERT_THAT(opened, Succeeds());
    EXPECT_EQ(opened->reader.size(), 2 * kFrameBytes);
    EXPECT_TRUE(opened->unreadable) << "who reads it is told that there is more";
  }
  EXPECT_EQ(UnpackedByFrames(file), plain_) << "the disk gives it again";
  EXPECT_FALSE(OpenStoredCore(Fd(::dup(file.get())))->unreadable);
  EXPECT_EQ(RecoverCore(file)->plain, plain_.size());
}

TEST_F(BadDiskTest, ARecoveryReadsAgainWhatCouldNotBeReadOnce) {
  const Fd file = MemoryFile(unfinished_);
  const DiskFault fault({.bad_end = kFrameBytes, .bad_reads = 1});
  EXPECT_EQ(RecoverCore(file)->plain, plain_.size());
}

TEST_F(BadDiskTest, ABadSectorInTheTableCostsTheTableAlone) {
  const Fd file = MemoryFile(stored_);
  for (const std::uint64_t bad : {stored_.size() - 2, stored_.size() - table_ + 2}) {
    const DiskFault fault({.bad_begin = bad, .bad_end = bad + 1});
    auto opened = OpenStoredCore(Fd(::dup(file.get())));
    ASSERT_THAT(opened, Succeeds());
    EXPECT_TRUE(opened->unreadable);
    const std::uint64_t size = opened->reader.size();
    EXPECT_GE(size, plain_.size() - kFrameBytes);  // the sector has the end of the last frame, too
    Bytes plain(size);
    EXPECT_THAT(opened->reader.ReadAt(0, plain), Succeeds());
    EXPECT_EQ(plain, First(size));
    const auto recovered = RecoverCore(file);
    ASSERT_THAT(recovered, Succeeds());
    EXPECT_TRUE(recovered->unreadable);
    EXPECT_EQ(recovered->plain, size);
    EXPECT_EQ(recovered->stored, stored_.size());
  }
  EXPECT_EQ(Content(file), stored_);
}

TEST_F(BadDiskTest, ABadSectorCostsAFileWithATableNothing) {
  const Fd file = MemoryFile(stored_);
  {
    const DiskFault fault({.bad_begin = 2 * kFrameBytes + 9000, .bad_end = 2 * kFrameBytes + 9001});
    EXPECT_THAT(RecoverCore(file), FailsWith(EIO));
  }
  EXPECT_EQ(Content(file), stored_);
}

TEST_F(BadDiskTest, ABadSectorInTheFirstFrameIsSaid) {
  const Fd file = MemoryFile(unfinished_);
  {
    const DiskFault fault({.bad_begin = 9000, .bad_end = 9001});
    EXPECT_THAT(RecoverCore(file), FailsWith(EIO));
  }
  EXPECT_EQ(Content(file), unfinished_);
}

TEST_F(BadDiskTest, AFileWithoutATableIsReadAsFarAsItsFramesGo) {
  const std::size_t half = unfinished_.size() / 2 + 1000;  // within a frame
  EXPECT_EQ(UnpackedByFrames(MemoryFile(std::span(unfinished_).first(half))), First(plain_.size() / 2));
  EXPECT_TRUE(OpenStoredCore(MemoryFile(stored_))->has_table);
  for (const std::size_t size : {0ul, 5ul, 1000ul})
    EXPECT_THAT(OpenStoredCore(MemoryFile(std::span(unfinished_).first(size))), FailsWith(EBADMSG));
  Bytes damaged = stored_;
  damaged[stored_.size() - table_ + 10] ^= std::byte{1};
  EXPECT_THAT(OpenStoredCore(MemoryFile(damaged)), FailsWith(EBADMSG)) << "its table is there";
}

TEST_F(BadDiskTest, TheTableTellsTheSizes) {
  const auto sizes = SizesOfWholeCore(MemoryFile(stored_));
  ASSERT_TRUE(sizes && *sizes);
  EXPECT_EQ((*sizes)->plain, plain_.size());
  EXPECT_EQ((*sizes)->stored, stored_.size());
  EXPECT_FALSE(*SizesOfWholeCore(MemoryFile(unfinished_)));
  CoreWriter writer(file_, {});
  writer.KeepHolesByLength();
  ASSERT_THAT(writer.Append(First(1000)), Succeeds());
  ASSERT_THAT(writer.Skip(1 << 20), Succeeds());
  ASSERT_THAT(writer.Append(First(1000)), Succeeds());
  ASSERT_THAT(writer.Finish(), Succeeds());
  EXPECT_EQ((*SizesOfWholeCore(file_))->plain, 0u) << "it does not have the length of the hole";
}

}  // namespace
}  // namespace obit
