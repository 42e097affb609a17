// What a worker leaves when it or its manager ends, or its disk is full.

#include "server/test_worker.h"

namespace obit {
namespace {

using testing::Bytes;
using ::testing::ElementsAre;
using testing::HalfKernel;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kCaptured;
using testing::SharedCounter;
using ::testing::SizeIs;
using testing::Succeeds;
using testing::Told;
using testing::Until;
using Kind = JobReport::Kind;
class WorkerEndTest : public testing::WorkerTest {};

TEST_F(WorkerEndTest, LeavesWhatAnotherCanRecoverWhenItIsKilled) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  HalfKernel half;
  {
    const Fd connection = half.kernel.TakeServer();
    Give(CaptureOf(), "", {&connection});
    // Read, and a part of it written.
    ASSERT_TRUE(Until([&] { return SharedCounter() > half.first + (1 << 20); }));
    ::kill(worker_->pid(), SIGKILL);
    worker_->Wait();
  }
  EXPECT_THAT(Incoming(), SizeIs(1));
  EXPECT_NE(Incoming().at(0), kCaptured) << "it was not released";
  Start();
  ASSERT_EQ(Next().kind, Kind::kReady);
  GiveRecovery("the capture worker died of SIGKILL");
  EXPECT_EQ(Next().kind, Kind::kStored);
  const auto record = LoadRecord(Folder(), kRecordFile);
  ASSERT_THAT(record, Succeeds());
  EXPECT_EQ(record->id, kCaptured);
  EXPECT_EQ(record->capture.outcome, CrashOutcome::kTruncated);
  EXPECT_EQ(record->capture.reason, "the capture worker died of SIGKILL");
  const Bytes stored = StoredCore();
  EXPECT_GE(stored.size(), 1U << 20);
  EXPECT_TRUE(std::equal(stored.begin(), stored.end(), half.core.begin()));
  EXPECT_EQ(Next().kind, Kind::kReady);
}

TEST_F(WorkerEndTest, SaysWhyNothingCanBeRecovered) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  GiveRecovery("x");
  const Told told = Next();
  EXPECT_EQ(told.kind, Kind::kFailed);
  EXPECT_THAT(told.text, HasSubstr(kCaptured));
  EXPECT_EQ(Next().kind, Kind::kReady);
}

TEST_F(WorkerEndTest, FinishesWhatItHasWhenTheManagerIsGone) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  HalfKernel half;
  const Fd connection = half.kernel.TakeServer();
  Give(CaptureOf(), "", {&connection});
  ASSERT_TRUE(Until([&] { return SharedCounter() > 0; }));
  manager_.Reset();
  half.go_on.first.Reset();
  EXPECT_EQ(worker_->Wait(), 0);
  EXPECT_THAT(Incoming(), ElementsAre(kCaptured));
  EXPECT_EQ(LoadRecord(Folder(), kRecordFile)->capture.outcome, CrashOutcome::kFull);
  EXPECT_TRUE(StoredCore() == half.core);
}

TEST_F(WorkerEndTest, RemovesTheFolderThatItDidNotUse) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  EXPECT_THAT(Incoming(), SizeIs(1));
  End();
  EXPECT_THAT(Incoming(), IsEmpty());
}

TEST_F(WorkerEndTest, KeepsAWholeCoreThatItCannotRecord) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  const std::size_t used = Descriptors();
  HalfKernel half;
  {
    const Fd connection = half.kernel.TakeServer();
    Give(CaptureOf(), "", {&connection});
  }
  ASSERT_TRUE(Until([&] { return SharedCounter() > 0; }));
  AllowDescriptors(used);  // crash.json cannot be made
  half.go_on.first.Reset();
  EXPECT_EQ(Next().kind, Kind::kReleased);
  const Told told = Next();
  EXPECT_EQ(told.kind, Kind::kFailed);
  EXPECT_THAT(told.text, HasSubstr(kRecordFile));
  EXPECT_TRUE(StoredCore() == half.core);
  End();
  Start();
  ASSERT_EQ(Next().kind, Kind::kReady);
  GiveRecovery("it could not be recorded");
  EXPECT_EQ(Next().kind, Kind::kStored);
  EXPECT_EQ(LoadRecord(Folder(), kRecordFile)->capture.outcome, CrashOutcome::kFull);
}

TEST_F(WorkerEndTest, LetsGoAtOnceWhereNoFolderCanBeMade) {
  ASSERT_EQ(Next().kind, Kind::kReady);
  const std::string incoming = folder_ / "store/incoming";
  const auto core = SmallCore(300'000);
  const auto give = [&] {
    FakeKernel kernel([&](Fd& server) { AwaitRelease(server); });  // ends when it is let go
    const Fd connection = kernel.TakeServer();
    Give(CaptureOf(), "", {&connection});
    EXPECT_EQ(Next().kind, Kind::kReleased);
  };
  End();
  ASSERT_EQ(::chmod(incoming.c_str(), 0500), 0);  // no capability helps a worker
  Start();
  EXPECT_EQ(Next().kind, Kind::kReady) << "it records all the same";
  for (int i = 0; i < 2; ++i) {
    give();
    const Told told = Next();
    EXPECT_EQ(told.kind, Kind::kFailed);
    EXPECT_THAT(told.text, HasSubstr("there is no folder"));
    EXPECT_EQ(Next().kind, Kind::kReady);
  }
  GiveRecovery("x");
  EXPECT_EQ(Next().kind, Kind::kFailed) << "it listens";
  EXPECT_EQ(Next().kind, Kind::kReady);
  ASSERT_EQ(::chmod(incoming.c_str(), 0700), 0);
  EXPECT_TRUE(Until([&] { return !Incoming().empty(); })) << "it tries again and again";
}

}  // namespace
}  // namespace obit
