// What the whole server keeps where something is short.

#include "server/test_server.h"

namespace obit {
namespace {

using testing::Dumping;
using ::testing::HasSubstr;
using testing::Until;

class ServerLoadTest : public testing::ServerTest {
 protected:
  CrashRecord::Capture CaptureOfOne() {
    Start();
    Crash(Dumping(SmallCore(100'000)));
    const auto records = AllRecords(1);
    return records.empty() ? CrashRecord::Capture() : records.front().capture;
  }
};

TEST_F(ServerLoadTest, AFullDiskIsForMinimalCores) {
  config_.retention = true;
  config_.retention_size = {};
  config_.retention_free = {.percent = 100, .bytes = {}};
  const CrashRecord::Capture capture = CaptureOfOne();
  EXPECT_EQ(capture.detail, Detail::kMinimal);
  EXPECT_EQ(capture.lowered, Shortage::kDisk);
  EXPECT_EQ(capture.lowered_reason, "the disk has room for 0 KiB of cores, and this one may take 64 KiB");
  EXPECT_EQ(capture.reason, "") << "nothing went wrong";
  EXPECT_EQ(Metric("obit_crashes_lowered_total{why=\"disk\"}"), 1);
}

TEST_F(ServerLoadTest, WhereMemoryIsShortCoresAreMinimal) {
  inspector_.memory.pressure = 5000;
  const CrashRecord::Capture capture = CaptureOfOne();
  EXPECT_EQ(capture.detail, Detail::kMinimal);
  EXPECT_EQ(capture.lowered, Shortage::kMemory);
  EXPECT_THAT(capture.lowered_reason,
              HasSubstr("waited for it 50.0% of the time (load.memory_pressure is 20)"));
}

TEST_F(ServerLoadTest, WhereNothingIsShortCoresAreFull) {
  const CrashRecord::Capture capture = CaptureOfOne();
  EXPECT_EQ(capture.detail, Detail::kFull);
  EXPECT_EQ(capture.lowered, Shortage::kNone);
  EXPECT_EQ(capture.lowered_reason, "");
  EXPECT_EQ(Metric("obit_crashes_lowered_total{why=\"disk\"}"), 0);
}

/// Its record is the clerk's work, from what the manager knew.
TEST_F(ServerLoadTest, ACaptureThatDiesSaysItToo) {
  inspector_.memory.pressure = 5000;
  Start();
  Crash(Dumping(SmallCore(100'000), {}, shared_));
  ASSERT_TRUE(Until([&] { return shared_->sent_part == 1; }));
  Signal("obitd-capture", SIGKILL);
  shared_->go_on = true;
  EXPECT_EQ(AllRecords(1).at(0).capture.lowered, Shortage::kMemory);
}

}  // namespace
}  // namespace obit
