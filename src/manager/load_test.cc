// What is kept where the disk, the queue or memory is short.

#include "manager/test_support.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

class LoadTest : public testing::ManagerTest {
 protected:
  /// A crash of a process with so much memory, which waits for a worker or has one. Its request comes last.
  Lines Dies(CrashKey crash, std::uint64_t resident, std::optional<uid_t> uid = 1000,
             std::optional<MemoryLoad> memory = {}) {
    (void)Arrives(crash, uid);
    (void)On(event::FactsFound{
        .crash = crash, .seat = Inspector(0), .last = true, .resident = resident, .memory = memory});
    return Requests(crash);
  }
  /// The same, of which a rule wins, counted from 1.
  Lines Ruled(CrashKey crash, std::uint32_t rule, std::uint64_t resident) {
    (void)Arrives(crash);
    (void)Requests(crash);
    (void)On(event::SiteFound{.crash = crash,
                              .seat = Inspector(0),
                              .site = CrashSite{.signal = 11, .offset = crash, .comm = "a"},
                              .boottime = now_,
                              .resident = resident,
                              .rule = rule});
    return Facts(crash);
  }
  Lines Has(std::uint64_t cores, std::uint64_t free, bool has_records = true) {
    return On(event::RoomTold{{.cores = cores, .free = free, .has_records = has_records}});
  }
  /// The worker has stored so many bytes, and the clerk knows of it.
  void Stores(CrashKey crash, std::uint32_t worker, std::uint64_t bytes) {
    (void)On(
        event::CaptureEnded{.crash = crash, .seat = Worker(worker), .stored = true, .core_bytes = bytes});
    (void)On(event::OrderDone{crash});
  }
  Lines Ready(std::uint32_t worker) { return On(event::SeatReady{Worker(worker)}); }
};

TEST_F(LoadTest, BeforeTheClerkHasLookedNothingIsLowered) {
  Start();
  EXPECT_THAT(Dies(1, 1000 * kGiB), ElementsAre("StartCapture 1 worker 0"));
}

TEST_F(LoadTest, WhereTheDiskHasNoRoomForAllACoreIsMinimal) {
  Start();
  (void)Has(kGiB, 8 * kGiB);
  EXPECT_THAT(Dies(1, 4 * kGiB), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(Dies(2, kMiB), ElementsAre("StartCapture 2 worker 1 minimal for disk"))
      << "crash 1 may take all";
  (void)Has(kGiB, 8 * kGiB);
  EXPECT_THAT(Dies(3, kMiB), ElementsAre("StartCapture 3 worker 2 minimal for disk")) << "it is not over";
}

TEST_F(LoadTest, WhatIsStoredTakesWhatItCameToUntilTheClerkCountsIt) {
  Start();
  (void)Has(kGiB, 8 * kGiB);
  (void)Dies(1, 4 * kGiB);
  Stores(1, 0, 100 * kMiB);
  EXPECT_THAT(Dies(2, 3 * kGiB), ElementsAre("StartCapture 2 worker 1"));
  Stores(2, 1, 0);
  (void)Has(900 * kMiB, 7 * kGiB);
  EXPECT_THAT(Dies(3, 3600 * kMiB), ElementsAre("StartCapture 3 worker 2"));
}

TEST_F(LoadTest, WhatCouldNotBeCompressedMustFitWithoutThat) {
  Start();
  (void)Has(8 * kGiB, kGiB);
  EXPECT_THAT(Dies(1, 2 * kGiB), ElementsAre("StartCapture 1 worker 0 minimal for disk"));
  EXPECT_THAT(Dies(2, kGiB - 8 * kMiB), ElementsAre("StartCapture 2 worker 1"));
}

TEST_F(LoadTest, WhereNotEvenAMinimalCoreHasRoomTheEventIsKept) {
  Start();
  (void)Has(0, 3 * kMiB);
  EXPECT_THAT(Dies(1, kGiB), ElementsAre("Answer 1 event"));
  EXPECT_THAT(On(event::MarkRead{1, CoredumpMark::kAccepted}),
              ElementsAre("Release 1",
                          "Record 1 event: the disk has room for 3 MiB of cores, and even a minimal "
                          "one may take 4 MiB"));
  (void)Arrives(2, 1, Transport::kPipe);
  EXPECT_THAT(Facts(2), ElementsAre("Release 2", HasSubstr("Record 2 event: the disk has room for 3 MiB")));
  EXPECT_EQ(manager_->load().queued, 0u);
}

TEST_F(LoadTest, WhatWasShortIsSaidAlsoOfACrashThatFailed) {
  Start();
  (void)Has(0, 3 * kMiB);
  (void)Dies(1, kGiB);
  Lowered lowered;
  for (const Command& command : manager_->On(event::MarkRead{1, CoredumpMark::kConflicting}, now_))
    if (const auto* record = std::get_if<command::Record>(&command)) lowered = record->lowered;
  EXPECT_EQ(lowered.what, Shortage::kDisk);
}

TEST_F(LoadTest, AnEventTakesNoWorker) {
  setup_.workers = 1;
  Start();
  (void)Has(0, 3 * kMiB);
  (void)Dies(1, kGiB);
  (void)Has(kGiB, 8 * kGiB);
  EXPECT_THAT(Dies(2, kGiB), ElementsAre("StartCapture 2 worker 0"));
}

TEST_F(LoadTest, WhatGetsNoCoreIsAnsweredBeforeARecoveryBegins) {
  setup_.workers = 1;
  Start();
  (void)Dies(1, kGiB);
  (void)Dies(2, kGiB, 1);
  (void)Has(0, 3 * kMiB);
  (void)On(event::SeatLost{Worker(0), "died"});
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}),
              ElementsAre("Answer 2 event", HasSubstr("StartRecovery 1 worker 0.2"), "LetJobsGo"));
}

TEST_F(LoadTest, WhereNoRecordHasRoomCrashesAreCounted) {
  Start();
  (void)Has(0, 0, false);
  EXPECT_THAT(Dies(1, kGiB), ElementsAre("Answer 1 reject", "Release 1", "Count 1 without room", "Forget 1"));
  (void)Has(0, 0);
  EXPECT_THAT(Dies(2, kGiB), ElementsAre("Answer 2 event"));
}

TEST_F(LoadTest, ACaptureThatDidNotBeginTakesNoRoom) {
  setup_.workers = 1;
  Start();
  (void)Has(kGiB, 8 * kGiB);
  (void)Dies(1, 4 * kGiB);
  using Cause = event::HandoverFailed::Cause;
  (void)On(event::HandoverFailed{1, Worker(0), Cause::kDead, "dead"});
  (void)On(event::SeatLost{Worker(0), "died"});
  EXPECT_THAT(On(event::SeatReady{Worker(0, 2)}), ElementsAre("StartCapture 1 worker 0.2", "LetJobsGo"));
}

TEST_F(LoadTest, AWorkersDeathKeepsTheRoomUntilTheClerkHasWhatIsLeft) {
  Start();
  (void)Has(kGiB, 8 * kGiB);
  (void)Dies(1, 4 * kGiB);
  (void)On(event::SeatLost{Worker(0), "died"});
  (void)Has(kGiB, 8 * kGiB);
  EXPECT_THAT(Dies(2, kGiB), Contains("StartCapture 2 worker 2 minimal for disk"));
}

TEST_F(LoadTest, WhileMemoryIsShortCoresAreMinimal) {
  Start();
  EXPECT_THAT(Dies(1, kGiB, 1, MemoryLoad{.pressure = 2000}),
              ElementsAre("StartCapture 1 worker 0 minimal for memory"));
  EXPECT_THAT(Dies(2, kGiB, 2), ElementsAre("StartCapture 2 worker 1 minimal for memory")) << "as seen last";
  EXPECT_THAT(Dies(3, kGiB, 3, MemoryLoad{.pressure = 1999}), ElementsAre("StartCapture 3 worker 2"));
}

TEST_F(LoadTest, WhatWasSeenOfMemoryLongAgoSaysNothing) {
  Start();
  (void)Dies(1, kGiB, 1, MemoryLoad{.pressure = 9000});
  Stores(1, 0, 0);
  (void)On(event::ProcessExited{1});
  (void)After(10s);
  EXPECT_THAT(Dies(2, kGiB, 2), Contains("StartCapture 2 worker 1"));
}

TEST_F(LoadTest, AQueueThatWouldTakeTooLongIsOfMinimalCoresUntilItIsShort) {
  setup_.workers = 1;
  Start();
  (void)Dies(1, kGiB);
  for (CrashKey crash = 2; crash <= 5; ++crash) (void)Dies(crash, kGiB);
  (void)After(900ms);
  Stores(1, 0, 0);
  EXPECT_THAT(Ready(0), ElementsAre("StartCapture 2 worker 0 minimal for queue"));
  Stores(2, 0, 0);
  EXPECT_THAT(Ready(0), ElementsAre("StartCapture 3 worker 0 minimal for queue"));
  Stores(3, 0, 0);
  EXPECT_THAT(Ready(0), ElementsAre("StartCapture 4 worker 0")) << "two take less than 2 s";
}

TEST_F(LoadTest, WhatWaitedLongMakesWayForThoseBehindIt) {
  setup_.workers = 1;
  Start();
  (void)Dies(1, kMiB);
  (void)Dies(2, kMiB);
  (void)Dies(3, kMiB);
  (void)Work(1s);
  (void)After(1ms);
  Stores(1, 0, 0);
  EXPECT_THAT(Ready(0), ElementsAre("StartCapture 2 worker 0 minimal for queue"));
  Stores(2, 0, 0);
  EXPECT_THAT(Ready(0), Contains("StartCapture 3 worker 0")) << "nobody waits behind it";
}

TEST_F(LoadTest, AnotherUsersQueueLowersNobody) {
  setup_.workers = 2;
  Start();
  (void)Dies(1, kGiB);
  for (CrashKey crash = 2; crash <= 5; ++crash) (void)Dies(crash, kGiB);
  (void)After(900ms);
  Stores(1, 0, 0);
  (void)Ready(0);
  EXPECT_THAT(Dies(6, kGiB, 1), Contains("StartCapture 6 worker 0")) << "crash 2 has worker 1";
}

TEST_F(LoadTest, AMinimalCoreThatIsConfiguredIsNotCalledLowered) {
  setup_.config.detail = Detail::kMinimal;
  Start();
  (void)Has(0, 4 * kMiB);
  EXPECT_THAT(Dies(1, kGiB, 1, MemoryLoad{.pressure = 9000}), ElementsAre("StartCapture 1 worker 0 minimal"));
  EXPECT_THAT(Dies(2, kGiB, 2), ElementsAre("Answer 2 event"));
}

TEST_F(LoadTest, WhatARuleKeepsIsLoweredAllTheSame) {
  setup_.config.detail = Detail::kMinimal;
  setup_.config.rules = {{.detail = Detail::kFull}, {.detail = Detail::kMinimal}};
  Start();
  (void)Has(kGiB, 8 * kGiB);
  EXPECT_THAT(Ruled(1, 1, 4 * kGiB), ElementsAre("StartCapture 1 worker 0"));
  EXPECT_THAT(Ruled(2, 1, kGiB), ElementsAre("StartCapture 2 worker 1 minimal for disk"));
  EXPECT_THAT(Ruled(3, 2, kGiB), ElementsAre("StartCapture 3 worker 2 minimal")) << "as its rule says";
}

TEST_F(LoadTest, WhatTheDiskTakesNoCoreOfMayHaveItsTrace) {
  Start();
  (void)On(event::TracesWanted{16});
  (void)Has(0, 3 * kMiB);
  EXPECT_THAT(Dies(1, kGiB), ElementsAre("StartCapture 1 worker 0 for a trace core_max 4194304 for disk"));
  (void)On(event::CaptureReleased{1, Worker(0)});
  EXPECT_THAT(Ends(1), ElementsAre(HasSubstr("Record 1 event: the disk has room for 3 MiB")));
  (void)On(event::OrderDone{1});
  (void)On(event::ProcessExited{1});
  EXPECT_THAT(Dies(2, kGiB), ElementsAre(HasSubstr("StartCapture 2 worker 1 for a trace")));
  using Cause = event::HandoverFailed::Cause;
  EXPECT_THAT(On(event::HandoverFailed{2, Worker(1), Cause::kNoTrace, "it has no memory"}),
              ElementsAre("Answer 2 event"));
  (void)Has(kGiB, 8 * kGiB);
  EXPECT_THAT(On(event::MarkRead{2, CoredumpMark::kAccepted}),
              ElementsAre("Release 2", HasSubstr("Record 2 event: the disk has room for 3 MiB")));
}

TEST_F(LoadTest, TheLastFreeWorkerIsForCores) {
  setup_.workers = 2;
  Start();
  (void)On(event::TracesWanted{16});
  (void)Dies(1, kGiB, 1);
  (void)Has(0, 3 * kMiB);
  EXPECT_THAT(Dies(2, kGiB, 2), ElementsAre("Answer 2 event")) << "the last worker stays free";
}

TEST_F(LoadTest, WhileMemoryIsShortNothingHasATrace) {
  Start();
  (void)On(event::TracesWanted{16});
  (void)Has(0, 3 * kMiB);
  EXPECT_THAT(Dies(1, kGiB, 1, MemoryLoad{.pressure = 2000}), ElementsAre("Answer 1 event"));
  EXPECT_THAT(Arrives(2, 2), ElementsAre("AskFacts 2 inspector 0"));
  (void)Requests(2);
  EXPECT_THAT(Facts(2, 0, 0), ElementsAre("Answer 2 event"));
  EXPECT_THAT(Dies(3, kGiB, 3, MemoryLoad{.pressure = 1999}), ElementsAre(HasSubstr("for a trace")));
}

TEST_F(LoadTest, WhatIsOnlyCountedHasNoTrace) {
  Start();
  (void)On(event::TracesWanted{16});
  (void)Has(0, 0, false);
  EXPECT_THAT(Dies(1, kGiB), Contains("Count 1 without room"));
  (void)Arrives(2, 2);
  (void)Requests(2);
  EXPECT_THAT(Facts(2, 0, 0), Contains("Count 2 without room"));
}

}  // namespace
}  // namespace obit
