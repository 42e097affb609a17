// A whole server that has more crashes than it can take: none takes more than it needs, and what is lost is
// counted, whoever dies.

#include "server/test_server.h"

namespace obit {
namespace {

using namespace std::chrono_literals;
using testing::DumpNothing;
using ::testing::IsEmpty;
using testing::kNoAnswer;
using ::testing::SizeIs;
using testing::Until;

struct CrowdShared {
  std::atomic<bool> is_short{false};
  std::atomic<int> asked{0};  // whose connections could not be asked about
  std::atomic<int> opened{0};
};

/// Counts what would be put into bags.
class CountingInspector final : public FakeInspector {
 public:
  explicit CountingInspector(const FakeInspector& like, CrowdShared& shared)
      : FakeInspector(like), shared_(shared) {}
  Result<ProcessMemory> Memory(const Subject& subject) override {
    ++shared_.opened;
    return FakeInspector::Memory(subject);
  }
  Result<Executable> Program(const Subject& subject) override {
    ++shared_.opened;
    return FakeInspector::Program(subject);
  }

 private:
  CrowdShared& shared_;
};

class CrowdTest : public testing::ServerTest {
 protected:
  CrowdTest() {
    change_ = [this](Supervisor::Setup& setup) {
      setup.identifier.connected =
          [this, otherwise = setup.identifier.connected](const Fd& connection) -> Result<PeerIdentity> {
        if (!crowd_->is_short) return otherwise(connection);
        ++crowd_->asked;
        return Refuse(EMFILE, "no descriptor is free");
      };
      setup.lives.inspector = [this](InspectorSetup inspector) {
        CountingInspector counting(inspector_, *crowd_);
        inspector.inspector = &counting;
        RunInspector(std::move(inspector));
      };
    };
  }
  [[nodiscard]] int Lost() const { return static_cast<int>(Metric("obit_crashes_lost_total")); }

  testing::SharedMemory<CrowdShared> crowd_;
};

TEST_F(CrowdTest, NothingIsOpenedForACrashThatAsksForNoCore) {
  inspector_.facts.core_limit = 0;
  Start();
  Crash(DumpNothing);
  const auto records = AllRecords(1);
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kEvent);
  EXPECT_EQ(records[0].process.cmdline, (std::vector<std::string>{"imgproxy", "--all"})) << "all facts";
  EXPECT_EQ(crowd_->opened, 0);
}

TEST_F(CrowdTest, WhereSuchACrashGetsACoreItsMemoryIsOpened) {
  inspector_.facts.core_limit = 0;
  config_.no_core_limit = Detail::kFull;
  Start();
  Crash(testing::Dumping(SmallCore(1000)));
  const auto records = AllRecords(1);
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].capture.outcome, CrashOutcome::kFull);
  EXPECT_GT(crowd_->opened, 0);
}

TEST_F(CrowdTest, WhatIsLostIsCountedByTheNextManagerToo) {
  Start();
  Crash(testing::Dumping(SmallCore(1000)));  // so that it listens
  (void)Records(1);
  crowd_->is_short = true;
  Crash(DumpNothing);
  EXPECT_EQ(AnswerTo(1), kNoAnswer);
  Signal("obitd-manager", SIGKILL);
  EXPECT_TRUE(Until([this] { return Lost() == 1; })) << Lost();
  EXPECT_TRUE(Until([this] { return HasSaid("crashes not recorded: 1 more"); }));
  crowd_->is_short = false;
  Crash(testing::Dumping(SmallCore(1000)));
  EXPECT_THAT(AllRecords(2), SizeIs(2));
  EXPECT_EQ(Lost(), 1);
}

TEST_F(CrowdTest, WhatWaitsAtAStopAndCannotBeAskedAboutIsCounted) {
  constexpr int kCrashes = 10;
  crowd_->is_short = true;
  Start();
  for (int i = 0; i < kCrashes; ++i) Crash(DumpNothing);
  EXPECT_TRUE(Until([this] { return shared_->connected == kCrashes; }));
  EXPECT_TRUE(Until([this] { return crowd_->asked > 0; }));  // the next one after a pause
  Stop();
  EXPECT_EQ(crowd_->asked, kCrashes);
  EXPECT_EQ(Lost(), kCrashes);
  EXPECT_TRUE(HasSaid("no descriptor is free"));
  EXPECT_THAT(Records(0), IsEmpty());
}

}  // namespace
}  // namespace obit
