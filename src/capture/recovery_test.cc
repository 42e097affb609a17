// What a capture left that did not come to its end, and what becomes of it.

#include <random>

#include "base/clock.h"
#include "base/io.h"
#include "capture/capture.h"
#include "capture/fake_kernel.h"
#include "crash/record_json.h"
#include "store/core_reader.h"
#include "store/recover.h"
#include "store/store.h"
#include "store/test_disk_calls.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::Bytes;
using testing::Content;
using testing::DiskFault;
using testing::FailsWith;

constexpr const char* kId = "0123456789abcdef";

/// A core of which what is stored is as long as it is.
Bytes NoiseCore(std::size_t memory_bytes) {
  CoreBuilder builder(EM_X86_64);
  builder.AddSegment(0x400000, PF_R, testing::Noise(memory_bytes, 1), memory_bytes);
  return builder.Build();
}

class RecoveryTest : public ::testing::Test {
 protected:
  /// incoming/ID as a worker leaves it that is killed after so many bytes of `core`, or, `finished`, behind
  /// it.
  IncomingCrash Left(std::span<const std::byte> core, bool finished = true, const CrashRecord& known = {}) {
    IncomingCrash incoming = *store_.Begin(kId);
    CrashRecord begun = known;
    begun.id = kId;
    begun.time = RealtimeNow();
    EXPECT_TRUE(WriteFileAtomically(incoming.dir, kBegunFile, RecordToJson(begun), 0600));
    const Fd file = *OpenAt(incoming.dir, kCoreFile, O_RDWR | O_CREAT, 0600);
    CoreWriter writer(file, {});
    EXPECT_TRUE(writer.Append(core));
    if (finished) {
      EXPECT_TRUE(writer.Finish());
    }
    return incoming;
  }
  static Bytes StoredIn(const IncomingCrash& crash) {
    return Content(*OpenAt(crash.dir, kCoreFile, O_RDONLY));
  }
  static Bytes PlainIn(const IncomingCrash& crash) {
    auto opened = OpenStoredCore(*OpenAt(crash.dir, kCoreFile, O_RDONLY));
    EXPECT_TRUE(opened);
    Bytes core(opened->reader.size());
    EXPECT_EQ(*opened->reader.ReadAt(0, core), core.size());
    return core;
  }

  testing::TemporaryFolder folder_;
  Store store_ = *Store::Create(folder_ / "store");
};

TEST_F(RecoveryTest, RecoversWhatAKilledWorkerLeft) {
  const auto core = SmallCore(2'000'000);
  (void)Left(std::span(core).first(1'500'000), /*finished=*/false);
  auto abandoned = testing::TakeAbandoned(store_);
  ASSERT_EQ(abandoned->size(), 1u);
  const auto record = Recover(abandoned->front().dir, {.reason = "killed in a test"});
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.reason, "killed in a test");
  const auto stored = PlainIn(*abandoned->begin());
  EXPECT_GT(stored.size(), 0u);
  EXPECT_TRUE(std::equal(stored.begin(), stored.end(), core.begin()));
}

TEST_F(RecoveryTest, RecoversAWholeCoreAsFull) {
  const auto core = SmallCore(600'000);
  const IncomingCrash incoming = Left(core);
  const auto record = Recover(incoming.dir, {.reason = "killed in a test"});
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->capture.reason, "");
  EXPECT_EQ(record->signal.number, 11) << "from the notes";
}

TEST_F(RecoveryTest, SaysOfACoreThatIsLongerThanItsHeadThatItCannotBeRead) {
  auto core = SmallCore(600'000);
  core.resize(core.size() + 4096, std::byte{1});  // as a hole of it that was stored too long makes it
  const IncomingCrash incoming = Left(core);
  const auto record = Recover(incoming.dir, {.reason = "killed in a test"});
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->files.core, kCoreFile);
  EXPECT_THAT(CheckNotShifted(record->capture), FailsWith(EBADMSG));
  EXPECT_NE(record->capture.reason.find("shifted"), std::string::npos) << record->capture.reason;
  EXPECT_EQ(PlainIn(incoming), core);
}

TEST_F(RecoveryTest, KeepsACoreWhoseBeginningIsDamaged) {
  CrashRecord begun;
  for (const bool same_boot : {true, false}) {
    begun.host.boot_id = same_boot ? "of now" : "of then";
    const IncomingCrash left = Left(NoiseCore(4 * kFrameBytes), /*finished=*/true, begun);
    ASSERT_TRUE(WriteAllAt(*OpenAt(left.dir, kCoreFile, O_RDWR), Bytes(10, std::byte{0x55}), 9000));
    const Bytes stored = StoredIn(left);
    const auto record = Recover(left.dir, {.reason = "killed in a test", .boot_id = "of now"});
    ASSERT_TRUE(record) << record.error().what;
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    EXPECT_EQ(record->files.core, kCoreFile);
    EXPECT_EQ(record->capture.stored_bytes, stored.size());
    EXPECT_GT(record->capture.core_bytes, 4 * kFrameBytes);
    EXPECT_TRUE(record->capture.reason.starts_with("killed in a test; its core is damaged, and is kept: "))
        << record->capture.reason;
    EXPECT_EQ(StoredIn(left), stored);
    ASSERT_TRUE(store_.Discard(kId));
  }
}

TEST_F(RecoveryTest, RecoversARecordWhoseCoreIsGoneAsFailed) {
  for (const bool empty : {true, false}) {
    const std::string id = empty ? "0000000000000001" : "0000000000000002";
    IncomingCrash incoming = *store_.Begin(id);
    CrashRecord record;
    record.id = id;
    record.time = RealtimeNow();
    record.files.core = kCoreFile;
    record.capture.method = CaptureMethod::kStream;
    record.capture.outcome = CrashOutcome::kFull;
    ASSERT_TRUE(WriteRecord(incoming.dir, record));
    const Fd core = *OpenAt(incoming.dir, kCoreFile, O_RDWR | O_CREAT, 0600);
    if (!empty) ::unlinkat(incoming.dir.get(), kCoreFile, 0);
    const auto recovered = Recover(incoming.dir, {.reason = "killed in a test"});
    ASSERT_TRUE(recovered) << recovered.error().what;
    EXPECT_EQ(recovered->capture.outcome, CrashOutcome::kFailed);
    EXPECT_EQ(recovered->files.core, "");
    const auto written = LoadRecord(incoming.dir, kRecordFile);
    ASSERT_TRUE(written) << written.error().what;
    EXPECT_EQ(written->capture.outcome, CrashOutcome::kFailed);
  }
}

TEST_F(RecoveryTest, RecoversAllFramesOfACoreWhoseTableTheDiskDoesNotTake) {
  const auto core = NoiseCore(4 * kFrameBytes);
  const IncomingCrash left = Left(core, /*finished=*/false);
  const DiskFault fault({.refuses_tables = true});
  const auto record = Recover(left.dir, {.reason = "killed in a test"});
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.reason, "killed in a test; the disk did not take its seek table");
  EXPECT_EQ(record->capture.core_bytes, 4 * kFrameBytes);
  EXPECT_TRUE(std::ranges::equal(PlainIn(left), std::span(core).first(4 * kFrameBytes)));
}

TEST_F(RecoveryTest, AFailedRecoveryCostsNothing) {
  const IncomingCrash left = Left(SmallCore(600'000));
  const Bytes stored = StoredIn(left);
  {
    const DiskFault fault({.bad_begin = 100, .bad_end = 101});
    EXPECT_THAT(Recover(left.dir, {.reason = "killed in a test"}), FailsWith(EIO));
  }
  EXPECT_EQ(StoredIn(left), stored);
  const auto record = Recover(left.dir, {.reason = "killed in a test"});
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << "it can be tried again";
}

TEST_F(RecoveryTest, ARecordWhoseCoreCannotBeLookedAtStays) {
  const IncomingCrash left = Left(SmallCore(600'000));
  ASSERT_TRUE(Recover(left.dir, {.reason = "killed in a test"}));
  {
    const DiskFault fault({.unseen = kCoreFile});
    EXPECT_THAT(Recover(left.dir, {.reason = "killed in a test"}), FailsWith(EIO));
  }
  EXPECT_EQ(LoadRecord(left.dir, kRecordFile)->capture.outcome, CrashOutcome::kFull);
  EXPECT_FALSE(StoredIn(left).empty());
}

TEST_F(RecoveryTest, RecoversACoreOfWhichNothingElseIsLeft) {
  const IncomingCrash left = Left(SmallCore(600'000));
  ASSERT_TRUE(WriteFileAtomically(left.dir, kBegunFile, "", 0600));
  const auto record = Recover(left.dir, {.id = kId, .reason = "the power was cut", .boot_id = "of now"});
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->id, kId);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull) << record->capture.reason;
  EXPECT_EQ(record->signal.number, 11) << "as the core says";
  EXPECT_EQ(record->process.privileged, true) << "nobody knows whose it is";
  EXPECT_EQ(FormatDay(record->time), FormatDay(RealtimeNow()));
}

TEST_F(RecoveryTest, RecoversTheCopyOfAProgramThatIsWhole) {
  CrashRecord begun;
  begun.host.boot_id = "of now";
  for (const bool whole : {true, false}) {
    const IncomingCrash left = Left(SmallCore(600'000), /*finished=*/true, begun);
    const Fd file = *OpenAt(left.dir, kExeFile, O_RDWR | O_CREAT, 0600);
    CoreWriter writer(file, {});
    ASSERT_TRUE(writer.Append(testing::Noise(kFrameBytes, 1)));
    if (whole) {
      ASSERT_TRUE(writer.Finish());
    }
    EXPECT_EQ(Recover(left.dir, {.reason = "killed in a test", .boot_id = "of now"})->files.exe,
              whole ? kExeFile : "");
    EXPECT_EQ(OpenAt(left.dir, kExeFile, O_RDONLY).has_value(), whole);
    ASSERT_TRUE(store_.Discard(kId));
  }
}

TEST_F(RecoveryTest, ACopyOfAProgramThatCannotBeReadCostsNoCore) {
  CrashRecord begun;
  begun.host.boot_id = "of now";
  const IncomingCrash left = Left(SmallCore(600'000), /*finished=*/true, begun);
  const Fd file = *OpenAt(left.dir, kExeFile, O_RDWR | O_CREAT, 0600);
  CoreWriter writer(file, {});
  ASSERT_TRUE(writer.Append(testing::Noise(8 * kFrameBytes, 1)));
  const auto stored = writer.Finish();
  ASSERT_TRUE(stored);
  ASSERT_LT(StoredIn(left).size(), stored->stored - 10);
  const DiskFault fault({.bad_begin = stored->stored - 10, .bad_end = stored->stored});
  const auto record = Recover(left.dir, {.reason = "killed in a test", .boot_id = "of now"});
  ASSERT_TRUE(record) << record.error().what;
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kFull);
  EXPECT_EQ(record->files.exe, "");
  EXPECT_FALSE(record->capture.exe_reason.empty());
  EXPECT_FALSE(OpenAt(left.dir, kExeFile, O_RDONLY));
}

TEST_F(RecoveryTest, SaysThatTheDiskDoesNotGiveTheRest) {
  const IncomingCrash left = Left(NoiseCore(4 * kFrameBytes), /*finished=*/false);
  const Bytes stored = StoredIn(left);
  {
    const DiskFault fault({.bad_begin = 2 * kFrameBytes + 9000, .bad_end = 2 * kFrameBytes + 9001});
    const auto record = Recover(left.dir, {.reason = "killed in a test"});
    ASSERT_TRUE(record) << record.error().what;
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    EXPECT_TRUE(record->capture.reason.starts_with("killed in a test; the disk does not give"))
        << record->capture.reason;
    EXPECT_EQ(record->capture.core_bytes, 2 * kFrameBytes);
    EXPECT_EQ(record->capture.stored_bytes, stored.size());
  }
  EXPECT_EQ(StoredIn(left), stored);
}

TEST_F(RecoveryTest, ABootThatNobodyKnowsMayBeAnother) {
  const IncomingCrash left = Left(NoiseCore(4 * kFrameBytes), /*finished=*/false);
  const std::byte other{0x55};
  const Fd file = *OpenAt(left.dir, kCoreFile, O_RDWR);
  ASSERT_TRUE(WriteAllAt(file, std::vector<std::byte>(4096, other), 2 * kFrameBytes + 9000));
  EXPECT_EQ(Recover(left.dir, {.reason = "the power was cut"})->capture.core_bytes, 2 * kFrameBytes);
}

TEST_F(RecoveryTest, ARecoveredCoreThatTheLimitEndedSaysSo) {
  const auto core = NoiseCore(4 * kFrameBytes);
  CrashRecord begun;
  for (const std::uint64_t limit : {2 * kFrameBytes, 3 * kFrameBytes}) {
    begun.capture.core_max = limit;
    const IncomingCrash left = Left(std::span(core).first(2 * kFrameBytes), /*finished=*/false, begun);
    const auto record = Recover(left.dir, {.reason = "killed in a test"});
    ASSERT_TRUE(record) << record.error().what;
    EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
    EXPECT_EQ(record->capture.reason,
              limit == 2 * kFrameBytes ? fmt::format("RLIMIT_CORE is {} bytes", limit) : "killed in a test");
    ASSERT_TRUE(store_.Discard(kId));
  }
}

TEST_F(RecoveryTest, RecoversNothingWithoutARecord) {
  IncomingCrash incoming = *store_.Begin(kId);
  EXPECT_EQ(Recover(incoming.dir, {.id = kId, .reason = "x"}).error().code, ENOENT);
}

}  // namespace
}  // namespace obit
