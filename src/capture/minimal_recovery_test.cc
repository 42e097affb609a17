// Which core is kept of a capture that was killed, whatever is left of its files.

#include <optional>

#include <sys/stat.h>

#include "capture/test_minimal_beside.h"
#include "capture/test_sync.h"
#include "store/recover.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::DiskFault;
using testing::kId;
using testing::kLarge;
using testing::MinimalBesideTest;
using testing::Parked;
using testing::Sending;
using testing::Succeeds;

/// What may be left of each file.
struct Left {
  const char* what;
  std::optional<Bytes> content;  ///< none: it is not there
};

TEST_F(MinimalBesideTest, RecoversWhateverIsLeft) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Kill(100, core, process);
  const Bytes part = Stored(kCoreFile), minimal = Stored(kMinimalFile), begun = Stored(kBegunFile);
  ASSERT_GT(part.size(), 0U);
  ASSERT_GT(minimal.size(), 8192U);
  Discard();
  Bytes whole;
  ASSERT_THAT(Run(Sending(core, std::byte{'s'}), process.Open()), Succeeds());
  whole = Stored(kCoreFile);
  Bytes torn = minimal;
  std::fill(torn.end() - 8192, torn.end() - 4096, std::byte{0});  // as a power cut leaves it
  const Left cores[] = {{"none", {}}, {"empty", Bytes()}, {"part", part}, {"whole", whole}};
  const Left minimals[] = {
      {"none", {}},
      {"empty", Bytes()},
      {"half", Bytes(minimal.begin(), minimal.begin() + static_cast<long>(minimal.size() / 2))},
      {"torn", torn},
      {"whole", minimal}};
  for (const Left& full : cores)
    for (const Left& beside : minimals)
      for (const bool has_begun : {true, false}) {
        SCOPED_TRACE(fmt::format("core {}, minimal {}, begun {}", full.what, beside.what, has_begun));
        Discard();
        IncomingCrash left = *store_.Begin(kId);
        left.dir.Reset();
        Put(kBegunFile, has_begun ? begun : Bytes());
        if (full.content) Put(kCoreFile, *full.content);
        if (beside.content) Put(kMinimalFile, *beside.content);
        // A torn one is of another boot: only then is it looked at page by page.
        const bool is_torn = std::string_view(beside.what) == "torn";
        const auto record = Recover(
            Folder(), {.id = kId, .reason = "killed in a test", .boot_id = is_torn ? "of then" : "of now"});
        const bool has_full = std::string_view(full.what) == "whole", has_part = full.content == part;
        const bool has_minimal = beside.content == minimal;
        if (!has_begun && !has_full && !has_part && (!beside.content || beside.content->empty())) {
          EXPECT_EQ(record.error().code, ENOENT);
          continue;
        }
        ASSERT_THAT(record, Succeeds());
        EXPECT_EQ(record->capture.outcome, has_full      ? CrashOutcome::kFull
                                           : has_minimal ? CrashOutcome::kMinimal
                                           : has_part    ? CrashOutcome::kTruncated
                                                         : CrashOutcome::kFailed)
            << record->capture.reason;
        EXPECT_FALSE(Has(kMinimalFile));
        EXPECT_EQ(Has(kCoreFile), !record->files.core.empty());
        EXPECT_EQ(record->capture.reason, has_full ? "" : "killed in a test");
        if (!has_full && has_minimal && has_part) CheckMinimal(*record, core, process);
        if (!has_full && has_minimal) {
          EXPECT_EQ(record->thread.tid, process.pid());
        }
      }
}

/// A capture that was killed, with a minimal core that is whole.
class RecoveredTest : public MinimalBesideTest {
 protected:
  RecoveredTest() : core_(process_.Core()) {
    Kill(100, core_, process_);
    minimal_core_ = Stored(kMinimalFile);
    begun_ = Stored(kBegunFile);
  }

  [[nodiscard]] Fd Core(int flags = O_RDWR) const { return *OpenAt(Folder(), kCoreFile, flags); }
  /// Gives core.zst its seek table, as a writer does that came to its end.
  void EndCore() const { ASSERT_THAT(RecoverCore(Core()), Succeeds()); }
  /// Where a frame begins that is well behind the head, bytes.
  [[nodiscard]] std::uint64_t FarFrame() const {
    std::uint64_t begin = 0, plain = 0;
    const auto found = FindFrames(Core());
    for (const SeekEntry& frame : found->frames) {
      if (plain > (1 << 20)) return begin;
      begin += frame.stored;
      plain += frame.plain;
    }
    ADD_FAILURE() << "there is none";
    return begin;
  }
  void Damage(std::uint64_t at) const {
    ASSERT_THAT(WriteAllAt(Core(), Bytes(16, std::byte{0x55}), at), Succeeds());
  }
  /// All frames of the core of the same process, and no table.
  void PutAllFrames() {
    Discard();
    ASSERT_THAT(Run(Sending(core_, std::byte{'s'}), process_.Open()), Succeeds());
    ASSERT_EQ(::unlinkat(Folder().get(), kRecordFile, 0), 0);
    const std::uint64_t end = FindFrames(Core())->core.stored;
    ASSERT_EQ(::ftruncate(Core().get(), static_cast<off_t>(end)), 0);
    Put(kMinimalFile, minimal_core_);
    Put(kBegunFile, begun_);
  }
  /// It fell back, and says of the full core no more than why it ended.
  void CheckFellBack(const Result<CrashRecord>& record) const {
    ASSERT_THAT(record, Succeeds());
    CheckMinimal(*record, core_, process_);
    EXPECT_EQ(record->capture.reason, "killed in a test");
    EXPECT_TRUE(record->capture.synced);
  }

  const Parked process_{kLarge, 0, /*noise=*/true};  // its core is larger than the minimal one at any time
  const CoreLayout core_;
  Bytes minimal_core_, begun_;  // as they were left
};

TEST_F(RecoveredTest, WithoutASeekTable) {
  const DiskFault fault({.refuses_tables = true});
  CheckFellBack(Recovered());
}

TEST_F(RecoveredTest, ThatWasNotSynced) {
  unsyncable = kCoreFile;
  const auto record = Recovered();
  unsyncable.clear();
  CheckFellBack(record);
}

TEST_F(RecoveredTest, ThatIsDamagedAndEndedEarly) {
  EndCore();
  Damage(FarFrame());
  CheckFellBack(Recovered());
}

TEST_F(RecoveredTest, OfWhichTheDiskDoesNotGiveAPart) {
  const std::uint64_t bad = std::max<std::uint64_t>(FarFrame(), Stored(kMinimalFile).size() + 4096);
  ASSERT_LT(bad + 4096, Stored(kCoreFile).size());
  const DiskFault fault({.bad_begin = bad, .bad_end = bad + 1});
  CheckFellBack(Recovered());
}

TEST_F(RecoveredTest, OfWhichTheDiskDoesNotGiveTheEnd) {
  const std::uint64_t size = Stored(kCoreFile).size();
  ASSERT_GT(size, Stored(kMinimalFile).size() + 8192);
  const DiskFault fault({.bad_begin = size - 1, .bad_end = size});
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated) << "it may be whole";
  EXPECT_EQ(record->capture.stored_bytes, size);
}

TEST_F(RecoveredTest, WithAllFramesAndNoTable) {
  PutAllFrames();
  {
    const DiskFault fault({.refuses_tables = true});
    const auto record = Recovered();
    ASSERT_THAT(record, Succeeds());
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    EXPECT_EQ(record->capture.reason, "the disk did not take its seek table");
    EXPECT_EQ(record->capture.core_bytes, core_.core_bytes());
  }
  PutAllFrames();
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->capture.reason, "");
}

TEST_F(RecoveredTest, WhateverHasTheNameOfAMinimalOne) {
  const auto remove = [&] { ASSERT_EQ(::unlinkat(Folder().get(), kMinimalFile, 0), 0); };
  for (const int kind : {S_IFIFO, S_IFLNK, S_IFDIR}) {
    SCOPED_TRACE(kind);
    Put(kBegunFile, begun_);
    if (kind == S_IFIFO) {
      remove();
      ASSERT_EQ(::mkfifoat(Folder().get(), kMinimalFile, 0600), 0);
    } else if (kind == S_IFLNK) {
      ASSERT_EQ(::symlinkat(kCoreFile, Folder().get(), kMinimalFile), 0);
    } else {
      ASSERT_EQ(::mkdirat(Folder().get(), kMinimalFile, 0700), 0);
    }
    const auto record = Recovered();
    ASSERT_THAT(record, Succeeds());
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    ASSERT_EQ(::unlinkat(Folder().get(), kRecordFile, 0), 0);
  }
}

/// Another worker may have put it in its place meanwhile, and have written the record as well.
TEST_F(RecoveredTest, ThatAnotherReplacesMeanwhile) {
  const auto replace = [&] {
    (void)::renameat(Folder().get(), kMinimalFile, Folder().get(), kCoreFile);
    return 0;
  };
  {
    const DiskFault fault({.before_write = replace});  // of the seek table
    EXPECT_THAT(Recovered(), testing::FailsWith(EAGAIN));
  }
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kMinimal);
}

TEST_F(RecoveredTest, ThatTheDiskDoesNotMove) {
  const DiskFault fault({.unmoved = kMinimalFile});
  EXPECT_THAT(Recovered(), testing::FailsWith(EAGAIN));
  EXPECT_TRUE(Has(kMinimalFile));
  EXPECT_TRUE(Has(kCoreFile));
}

TEST_F(RecoveredTest, ByTheClerk) {
  unsyncable = kMinimalFile;
  const Bytes part = Stored(kCoreFile), &minimal = minimal_core_;
  EXPECT_FALSE(TakeStoredMinimal(Folder(), /*same_boot=*/true).value());
  unsyncable.clear();
  EXPECT_EQ(Stored(kCoreFile), part) << "it may not survive a power cut";
  Put(kMinimalFile, minimal);
  EXPECT_FALSE(TakeStoredMinimal(Folder(), /*same_boot=*/false).value());
  EXPECT_EQ(Stored(kCoreFile), part) << "it may be torn";
  Put(kMinimalFile, minimal);
  {
    const DiskFault fault({.unmoved = kMinimalFile});
    EXPECT_THAT(TakeStoredMinimal(Folder(), /*same_boot=*/true), testing::FailsWith(EIO));
  }
  EXPECT_EQ(Stored(kCoreFile), part);
  EXPECT_TRUE(TakeStoredMinimal(Folder(), /*same_boot=*/true).value());
  EXPECT_EQ(Stored(kCoreFile), minimal);
  Put(kCoreFile, {});
  Put(kMinimalFile, minimal);
  EXPECT_TRUE(TakeStoredMinimal(Folder(), /*same_boot=*/false).value()) << "there is nothing else";
}

/// Between the rename and the record.
TEST_F(MinimalBesideTest, RecoversAMinimalCoreThatIsInItsPlace) {
  const Parked process(kLarge);
  const CoreLayout core = process.Core();
  Kill(100, core, process);
  ASSERT_EQ(::renameat(Folder().get(), kMinimalFile, Folder().get(), kCoreFile), 0);
  const auto record = Recovered();
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kMinimal);
  EXPECT_EQ(record->capture.reason, "killed in a test");
}

}  // namespace
}  // namespace obit
