#include "catalog/regroup.h"

#include <fstream>

#include <fcntl.h>
#include <sys/file.h>

#include "base/io.h"
#include "crash/fingerprint.h"
#include "store/test_support.h"

namespace obit {
namespace {

using testing::CommitCrash;
using testing::SampleRecord;
using testing::Succeeds;
using testing::TemporaryFolder;

class RegroupTest : public ::testing::Test {
 protected:
  CrashLocation AddReport(int version) {
    const CrashLocation crash = CommitCrash(store_, SampleRecord());
    Report report{.id = crash.id};
    report.fingerprint = {version, "0000000000000001", {"old"}};
    report.modules = {{.path = "/usr/bin/shop"}};
    report.stacks = {{.frames = {{.function = "pay", .module = 0}}}};
    EXPECT_THAT(store_.WriteReport(crash, report, {}), Succeeds());
    return crash;
  }

  TemporaryFolder folder_;
  Store store_ = Store::Create(folder_ / "store").value();
};

TEST_F(RegroupTest, OlderVersionsGetTheFingerprintOfToday) {
  const CrashLocation old = AddReport(0);
  EXPECT_EQ(Regroup(store_)->done, 1u);
  const Report report = store_.LoadReportAsWritten(old).value();
  EXPECT_EQ(report.fingerprint.version, Report::Fingerprint::kVersion);
  EXPECT_THAT(report.fingerprint.frames, ::testing::ElementsAre("shop!pay"));
  EXPECT_EQ(report.fingerprint.value, FindFingerprint(report, store_.Load(old).value()).value);
  EXPECT_EQ(report.own_frame, 0u);
  EXPECT_EQ(Regroup(store_)->done, 0u) << "once is enough";
}

TEST_F(RegroupTest, OthersStayAsTheyAre) {
  const CrashLocation today = AddReport(Report::Fingerprint::kVersion), newer = AddReport(1000);
  CommitCrash(store_, SampleRecord());  // without a report
  EXPECT_EQ(Regroup(store_)->done, 0u);
  for (const CrashLocation& crash : {today, newer})
    EXPECT_EQ(store_.LoadReport(crash).value().fingerprint.value, "0000000000000001");
}

TEST_F(RegroupTest, TellsOfThoseThatKeepTheirGroup) {
  const CrashLocation locked = AddReport(0), damaged = AddReport(0);
  CommitCrash(store_, SampleRecord());  // without a report
  const Fd lock = Open(store_.PathOf(locked), O_RDONLY | O_DIRECTORY).value();
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  std::ofstream(store_.PathOf(damaged) + "/report.json", std::ios::trunc) << "{";
  AddReport(0);
  const auto regrouped = Regroup(store_);
  ASSERT_THAT(regrouped, Succeeds());
  EXPECT_EQ(regrouped->done, 1u);
  EXPECT_EQ(regrouped->failed, 2u);
  EXPECT_TRUE(regrouped->why);
}

}  // namespace
}  // namespace obit
