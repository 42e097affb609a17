#include "capture/write_record.h"

#include "capture/test_sync.h"
#include "crash/record_json.h"
#include "store/store.h"
#include "store/test_support.h"

namespace obit {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::Succeeds;

TEST(StoreRecord, WritesNothingThatNoReaderTakes) {
  const testing::TemporaryFolder folder;
  CrashRecord record = testing::SampleRecord();
  record.process.cwd.assign(kRecordJsonMax, '\xff');
  record.process.cmdline.assign(2, std::string(kRecordJsonMax, 'x'));
  record.capture.reason.assign(kRecordJsonMax, 'r');
  ASSERT_THAT(StoreRecord(folder.fd(), record), Succeeds());
  EXPECT_THAT(record.process.too_long, ElementsAre("cwd"));
  EXPECT_TRUE(record.process.cmdline_truncated);
  EXPECT_EQ(record.process.exe, testing::SampleRecord().process.exe);
  const auto stored = LoadRecord(folder.fd(), kRecordFile);
  ASSERT_THAT(stored, Succeeds());
  EXPECT_EQ(RecordToJson(*stored), RecordToJson(record));

  record.process.comm.assign(kRecordJsonMax, 'x');  // nobody has one that long: there is nothing to say of it
  EXPECT_THAT(StoreRecord(folder.fd(), record), FailsWith(EFBIG));
}

TEST(StoreRecord, TriesAgainToSayThatItMayNotSurviveAPowerCut) {
  const testing::TemporaryFolder folder;
  CrashRecord record = testing::SampleRecord();
  int written = 0;
  const auto fails_once = [&](const Fd&) -> Result<void> {
    if (++written == 2) return Fail(EIO, "prepare");
    return {};
  };
  unsyncable = folder.path();
  const auto stored = StoreRecord(folder.fd(), record, fails_once);
  unsyncable.clear();
  ASSERT_THAT(stored, Succeeds());
  EXPECT_EQ(record.capture.synced, false);
  EXPECT_EQ(LoadRecord(folder.fd(), kRecordFile)->capture.synced, false);
}

TEST(StoreRecord, CutsNothingOfWhatFits) {
  const testing::TemporaryFolder folder;
  CrashRecord record = testing::SampleRecord();
  record.process.cmdline.assign(1, std::string(32 << 10, '\xff'));
  record.process.exe.assign(16 << 10, '\xff');
  const std::string text = RecordToJson(record);
  ASSERT_THAT(StoreRecord(folder.fd(), record), Succeeds());
  EXPECT_EQ(RecordToJson(record), text);
}

}  // namespace
}  // namespace obit
